"""Parts of a training job: schemas, transform graphs, splits with their rows."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import apache_beam as beam
import tensorflow_transform as tft
import tensorflow_transform.beam as tft_beam
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx_bsl.public import tfxio

from hubline.preprocessing.analysis import BeamAnalyzer
from hubline.preprocessing.columns import parsing_spec
from hubline.preprocessing.config import Features, Label
from hubline.preprocessing.feature_columns import input_columns
from hubline.preprocessing.transform import preprocessing_fn
from hubline.trainer.config.hubs import Hubs
from hubline.trainer.embed import Embedder
from hubline.trainer.kept import Kept
from hubline.trainer.model import feeding
from hubline.trainer.train import Split
from tests.support import example_data


def schema(shape: str = "", **types: str) -> schema_pb2.Schema:
    """Columns of types BYTES, INT or FLOAT, as SchemaGen infers them; `shape` is a shape in text format."""
    text = "".join(f'feature {{name: "{name}" type: {kind} {shape}}}' for name, kind in types.items())
    return text_format.Parse(text, schema_pb2.Schema())


def transform_graph(
    folder: Path, records: Sequence[bytes], features: Features, label: Label, raw: schema_pb2.Schema
) -> tft.TFTransformOutput:
    """Runs `preprocessing_fn` through TF Transform's own Beam stages."""
    source = example_data.write_tfrecord(folder / "analysed", records)
    reader = tfxio.TFExampleRecord(str(source), schema=raw)

    with beam.Pipeline() as pipeline, tft_beam.Context(temp_dir=str(folder / "tmp")):
        data = pipeline | reader.BeamSource(), reader.TensorAdapterConfig()
        transform_fn = data | tft_beam.AnalyzeDataset(
            lambda inputs: preprocessing_fn(inputs, features, label, BeamAnalyzer())
        )
        _ = transform_fn | tft_beam.WriteTransformFn(str(folder / "graph"))
    return tft.TFTransformOutput(str(folder / "graph"))


def split(
    folder: Path,
    files: Sequence[Sequence[bytes]],
    features: Features,
    hubs: Hubs,
    modules: Mapping[str, str],
    raw: schema_pb2.Schema,
    kept: Kept | None = None,
) -> Split:
    """Records in files, and their rows as the step Embedder writes them: without modules, the records themselves."""
    kept = kept or Kept(views=1, splits=())
    written = [example_data.write_tfrecord(folder / f"{n}.gz", records, "GZIP") for n, records in enumerate(files)]
    if not hubs:
        same = [str(path) for path in written]
        return Split(records=same, rows=same, count=sum(map(len, files)))
    fed = feeding(hubs, features)
    spec = parsing_spec(raw, input_columns(fed))
    embedder = Embedder(hubs, modules, fed, spec)
    rows = [folder / f"{path.stem}.rows" for path in written]
    made = [
        embedder.embed(str(path), len(records), str(row), kept.views, kept.augment, kept.seed)
        for path, records, row in zip(written, files, rows, strict=True)
    ]
    return Split(
        records=[str(path) for path in written], rows=[str(row) for row in rows], count=sum(one.count for one in made)
    )
