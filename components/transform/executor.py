"""Transform's executor."""

import json
from collections.abc import Mapping
from functools import partial
from typing import Any

import apache_beam as beam
import tensorflow_transform as tft
import tensorflow_transform.beam as tft_beam
from tensorflow_metadata.proto.v0 import schema_pb2
from tensorflow_transform.tf_metadata import dataset_metadata, metadata_io
from tfx.types import artifact_utils
from tfx_bsl.public import tfxio

from hubline.artifacts.examples import Manifest
from hubline.artifacts.unread_dates import UnreadDates
from hubline.components.beam import IN_ONE_PROCESS
from hubline.components.input_artifacts import read_schema
from hubline.components.spread.executor import StageExecutor
from hubline.components.spread.stage import Stage
from hubline.components.spread.weights import ANALYZED
from hubline.components.transform import shard as transform_shard
from hubline.components.transform.config import TransformConfig
from hubline.components.transform.shard import Analysis, Shard, answers
from hubline.core import storage
from hubline.core.code_digest import content_digest
from hubline.core.errors import DataError
from hubline.core.shard_cache import key
from hubline.preprocessing.analysis import AnalysisResults, FixedAnalyzer
from hubline.preprocessing.config import Features, vocabulary_files
from hubline.preprocessing.kinds.categorical import vocabulary_name
from hubline.preprocessing.transform import preprocessing_fn, raw_columns
from hubline.preprocessing.vocabulary_files import read_vocabulary


class Executor(StageExecutor):
    """Answers the analyzers' questions shard by shard, and has TF Transform build a graph in which nothing is left to
    analyze.

    TFX's Transform has a chain of Beam stages for each analyzer, and recomputes all of them over all data in every run.
    For a graph without analyzers, its executor calls `preprocessing_fn` nine times instead of twice.
    """

    reads_one_shard = True

    def stage(self, input_dict: dict, exec_properties: dict[str, Any]) -> Stage[Shard]:
        """The analysis of the training split."""
        examples = artifact_utils.get_single_instance(input_dict["examples"])
        folder = artifact_utils.get_split_uri([examples], "train")
        code = content_digest(transform_shard.__name__, "tensorflow", "tensorflow-transform")
        analysis = _analysis(input_dict, exec_properties)
        recipe = analysis.recipe(code)
        shards = [
            Shard(name=f"{folder}/{file.name}", count=file.count, key=key("analysed", file.digest, recipe))
            for file in Manifest.read(examples.uri).of("train")
            if file.count
        ]
        return Stage(
            name="analysis",
            unit="examples",
            tasks=shards,
            fill=analysis,
            store=exec_properties["store"],
            weight=ANALYZED,
        )

    def Do(self, input_dict: dict, output_dict: dict, exec_properties: dict[str, Any]) -> None:
        """Fills `transform_graph` in the format of `tft.TFTransformOutput`, plus `UnreadDates`.

        Raises:
            DataError: if a vocabulary file has changed since it was pinned, or no date in a column can be parsed.
        """
        config = TransformConfig.model_validate_json(exec_properties["config"])
        vocabularies = f"{self._get_tmp_dir()}/vocabularies"
        given = _copied(config.features, json.loads(exec_properties["vocabularies"]), vocabularies)
        stage = self.stage(input_dict, exec_properties)
        self.run_stage(stage)
        questions = _analysis(input_dict, exec_properties).questions
        found = answers(questions, stage.tasks, stage.store, vocabularies)
        known = found.model_copy(update={"vocabularies": found.vocabularies | given})
        unread = UnreadDates.of(config.features, found.unread)
        folder = artifact_utils.get_single_uri(output_dict["transform_graph"])
        self._write_graph(config, known, _raw_schema(input_dict, config), folder)
        unread.write(folder)

    def _write_graph(
        self, config: TransformConfig, known: AnalysisResults, schema: schema_pb2.Schema, folder: str
    ) -> None:
        """Has TF Transform build the graph. It reads no records, as nothing is left to analyze."""
        transform = partial(
            preprocessing_fn, features=config.features, label=config.label, analysis=FixedAnalyzer(known)
        )
        columns = tfxio.TFExampleRecord("", schema=schema).TensorAdapterConfig()
        with beam.Pipeline(argv=list(IN_ONE_PROCESS)) as pipeline, tft_beam.Context(temp_dir=self._get_tmp_dir()):
            no_records = pipeline | beam.Create([]), columns
            no_records | tft_beam.AnalyzeDataset(transform) | tft_beam.WriteTransformFn(folder)
        metadata = dataset_metadata.DatasetMetadata(schema)
        metadata_io.write_metadata(metadata, f"{folder}/{tft.TFTransformOutput.RAW_METADATA_DIR}")


def _analysis(input_dict: dict, exec_properties: dict[str, Any]) -> Analysis:
    schema = _raw_schema(input_dict, TransformConfig.model_validate_json(exec_properties["config"]))
    return Analysis(exec_properties["config"], schema.SerializeToString(deterministic=True))


def _raw_schema(input_dict: dict, config: TransformConfig) -> schema_pb2.Schema:
    """The schema of the columns that features and label are made of."""
    schema, columns = read_schema(input_dict["schema"]), raw_columns(config.features, config.label)
    return schema_pb2.Schema(feature=[feature for feature in schema.feature if feature.name in columns])


def _copied(features: Features, digests: Mapping[str, str], folder: str) -> dict[str, str]:
    """Copies vocabulary files under names that are unique in the graph's assets; returns the paths by name.

    Raises:
        DataError: if a file has changed since it was pinned.
    """
    copies = {}
    for feature, file in vocabulary_files(features).items():
        words, digest = read_vocabulary(file)
        if digest != digests[feature]:
            raise DataError(f"{file.file}: the vocabulary has changed since the run began; run again")
        name = vocabulary_name(feature)
        copies[name] = f"{folder}/{name}"
        storage.write_bytes(copies[name], b"".join(b"%b\n" % word for word in words))
    return copies
