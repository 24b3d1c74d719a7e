"""Features as TF Transform computes them from columns in memory."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf
import tensorflow_transform as tft
import tensorflow_transform.beam as tft_beam
from pydantic import TypeAdapter
from tensorflow_transform.tf_metadata import dataset_metadata, schema_utils

from hubline.preprocessing.analysis import BeamAnalyzer
from hubline.preprocessing.config import Features
from hubline.preprocessing.transform import transformed
from hubline.trainer.model import keras_inputs, model_inputs

FC = tf.feature_column


DTYPES = {"x": tf.float32, "n": tf.int64, "word": tf.string, "words": tf.string, "w": tf.float32, "text": tf.string}


def features_of(**features: Mapping[str, Any]) -> Features:
    return TypeAdapter(Features).validate_python(features)


def columns(rows: Sequence[Mapping[str, Any]], names: Sequence[str] = tuple(DTYPES)) -> dict[str, tf.SparseTensor]:
    return {
        name: tf.ragged.constant([row[name] for row in rows], DTYPES[name], ragged_rank=1).to_sparse() for name in names
    }


class Analysed:
    """Features after TF Transform has analyzed some rows."""

    def __init__(self, features: Features, rows: Sequence[Mapping[str, Any]], folder: Path) -> None:
        self.features = features
        spec = {name: tf.io.VarLenFeature(dtype) for name, dtype in DTYPES.items()}
        metadata = dataset_metadata.DatasetMetadata(schema_utils.schema_from_feature_spec(spec))
        with tft_beam.Context(temp_dir=str(folder / "tmp")):
            (self.materialized, _), transform_fn = (list(rows), metadata) | tft_beam.AnalyzeAndTransformDataset(
                lambda inputs: transformed(features, inputs, BeamAnalyzer())
            )
            transform_fn | tft_beam.WriteTransformFn(str(folder / "transform"))
        self.output = tft.TFTransformOutput(str(folder / "transform"))
        self.graph = self.output.transform_features_layer()

    def layers(self) -> tf.keras.Model:
        own = model_inputs(self.features)
        inputs = keras_inputs(own)
        return tf.keras.Model(inputs, {name: feature.layer(name, self.output)(inputs) for name, feature in own.items()})
