"""Looks at data files, the schema, the baseline and vocabularies."""

from collections.abc import Iterator
from functools import partial
from pathlib import PurePath

from hubline.components.config.data import Data
from hubline.components.example_gen.first_record import is_tfrecord
from hubline.core import storage
from hubline.core.config_base import is_remote
from hubline.core.config_errors import PlacedError
from hubline.core.errors import UserError
from hubline.pipeline.looks.look import fault_at
from hubline.pipeline.looks.sample import Sample, key_of_split
from hubline.preprocessing.config import Features, vocabulary_files
from hubline.preprocessing.vocabulary_files import read_vocabulary

_FEW = 20
"""Files of each split whose first bytes are read."""

_CONVERTED = {
    "csv": (".csv", ".tsv"),
    "parquet": (".parquet",),
    "images": (".jpg", ".jpeg", ".png", ".gif", ".bmp", ".webp"),
    "text": (".txt",),
}
"""Commands of `hubline convert` by the suffixes of the files that they take."""


def data_files_exist(sample: Sample) -> Iterator[PlacedError]:
    for split, pattern in sample.patterns.items():
        if not is_remote(pattern):
            yield from fault_at(key_of_split(split), partial(sample.files, split))


def files_are_in_one_split(sample: Sample) -> Iterator[PlacedError]:
    owner: dict[str, str] = {}
    for split, pattern in sample.patterns.items():
        shared = [path for path in sample.known_files(split) if owner.setdefault(path, split) != split]
        if shared:
            other = owner[shared[0]]
            more = f" and {len(shared) - 1} more" if len(shared) > 1 else ""
            yield (
                key_of_split(split),
                f"{shared[0]}{more}: also matches {sample.patterns[other]} of data.split.{other}, besides {pattern}; "
                "each file must be in one split only",
            )


def data_files_are_tfrecords(sample: Sample) -> Iterator[PlacedError]:
    for split in sample.patterns if sample.is_strict else ():
        for path in sample.known_files(split)[:_FEW]:
            if not is_tfrecord(path):
                suffix = PurePath(path.removesuffix(".gz")).suffix.lower()
                command = next((name for name, suffixes in _CONVERTED.items() if suffix in suffixes), None)
                right = f"; `hubline convert {command}` makes TFRecords of such files" if command else ""
                yield key_of_split(split), f"{path}: not a TFRecord file{right}"
                break


def schema_and_baseline_can_be_read(data: Data) -> Iterator[PlacedError]:
    if data.data_schema and not is_remote(data.data_schema):
        yield from fault_at(("data", "schema"), partial(_look_for_schema, data.data_schema))
    if data.baseline and not is_remote(data.baseline):
        yield from fault_at(("data", "baseline"), partial(_look_for_baseline, data.baseline))


def vocabularies_can_be_read(features: Features) -> Iterator[PlacedError]:
    for name, vocabulary in vocabulary_files(features).items():
        if not is_remote(vocabulary.file):
            yield from fault_at(("features", name, "vocabulary", "file"), partial(read_vocabulary, vocabulary))


def _look_for_schema(path: str) -> None:
    # Imported here because few pipelines have a curated schema.
    from hubline.components.curated_schema.read import read_curated

    read_curated(path)


def _look_for_baseline(path: str) -> None:
    if not storage.exists(path) or storage.is_folder(path):
        raise UserError(
            f"{path}: there is no such file; create a baseline, statistics.pb, with `hubline schema FILE --freeze`"
        )
    # Imported here because few pipelines have a baseline.
    from google.protobuf.message import DecodeError
    from tensorflow_metadata.proto.v0 import statistics_pb2

    try:
        with storage.open_binary(path) as file:
            statistics = statistics_pb2.DatasetFeatureStatisticsList.FromString(file.read())
    except DecodeError:
        statistics = statistics_pb2.DatasetFeatureStatisticsList()
    if not statistics.datasets:
        raise UserError(f"{path}: not a statistics.pb (a DatasetFeatureStatisticsList of TensorFlow Data Validation)")


LOOKS = (data_files_exist, data_files_are_tfrecords, files_are_in_one_split, vocabularies_can_be_read)
LOOKS_TO_TRAIN = (schema_and_baseline_can_be_read,)
