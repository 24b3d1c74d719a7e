"""Statistics of one shard, in a form that can be cached and merged."""

import itertools
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pyarrow
import tensorflow as tf
from pyarrow import compute
from pydantic import TypeAdapter
from tensorflow_metadata.proto.v0 import statistics_pb2

from hubline.components.adapters import tfdv
from hubline.components.statistics_gen.columns import ColumnFacts, FileFacts, are_mixed
from hubline.core import storage, typed_json
from hubline.core.adapters.tfx_bsl import ExampleDecoder
from hubline.core.concurrency import in_order
from hubline.core.counts import hold
from hubline.core.shard_cache import ShardCache, key
from hubline.core.tfrecords import compression_of

_ACCUMULATORS, _FACTS = "accumulators.json", "columns.json"
_BY_FILE = TypeAdapter(list[FileFacts])
_MERGED_AT_ONCE = 64  # shards
_BATCH = 256  # records per batch; small enough for images of some megabytes
_KINDS = {"int64_list": "int64", "float_list": "float", "bytes_list": "bytes"}
_KIND_OF_ARROW = {
    pyarrow.int64(): "int64",
    pyarrow.float32(): "float",
    pyarrow.binary(): "bytes",
    pyarrow.large_binary(): "bytes",
}


@dataclass(frozen=True)
class Shard:
    """A file of records."""

    name: str
    """Its path."""
    counts: tuple[int, ...]
    """Number of records from each data file, in the order of the records."""
    key: str
    """Key of the statistics in the shard cache."""

    @property
    def count(self) -> int:
        """Number of records."""
        return sum(self.counts)

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return storage.stat(self.name).size


@dataclass(frozen=True)
class Description:
    """Describes the columns of a shard."""

    opaque: tuple[str, ...]
    """Columns with values that are neither words nor numbers, such as encoded images; their values are not counted."""

    def recipe(self, code: str) -> str:
        """Digest of all that statistics depend on besides the records.

        Args:
            code: Digest of the code that computes them.
        """
        return key("statistics", self.opaque, code)

    def __call__(self, shard: Shard, folder: str, report: Callable[[int], None]) -> None:
        """Runs TFDV's generators over a shard, and writes their accumulators and the facts about columns to a folder.

        If a column has values of several types, which TFDV rejects, only the facts are written.

        Raises:
            DamageError: if the shard lacks records that were written to it.
        """
        accumulators: list[Any] | None = None
        try:
            accumulators, facts = _described(shard, self.opaque, report)
        except (RuntimeError, TypeError):  # from tfx_bsl's decoder, or from TFDV if the types differ between batches
            facts = _kinds_record_by_record(shard)
            if not are_mixed(facts):
                raise
        storage.write_bytes(f"{folder}/{_FACTS}", _BY_FILE.dump_json(facts))
        if accumulators is not None:
            storage.write_bytes(f"{folder}/{_ACCUMULATORS}", typed_json.dump(accumulators, tfdv.ACCUMULATOR_CLASSES))


def facts_of(store: str, shard: Shard) -> list[FileFacts]:
    """Facts about the columns of each data file in an accumulated shard."""
    return _BY_FILE.validate_json(_load(store, _FACTS, shard))


def merged(
    store: str, shards: Sequence[Shard], at_once: int = _MERGED_AT_ONCE
) -> statistics_pb2.DatasetFeatureStatisticsList:
    """Merged statistics of accumulated shards. Each column must have a single type.

    Args:
        store: Folder of the shard cache.
        shards: The shards.
        at_once: Number of shards whose accumulators are in memory.
    """
    generators = tfdv.generators()
    contents = in_order(partial(_load, store, _ACCUMULATORS), shards)
    loaded = (typed_json.load(content, tfdv.ACCUMULATOR_CLASSES) for content in contents)
    merged_so_far: list[list[Any]] = []
    while batch := list(itertools.islice(loaded, at_once)):
        by_shard = [*merged_so_far, *batch]
        merged_so_far = [
            [
                generator.merge_accumulators([accumulators[index] for accumulators in by_shard])
                for index, generator in enumerate(generators)
            ]
        ]
    (accumulators,) = merged_so_far
    return tfdv.extract(accumulators, generators)


def _load(store: str, name: str, shard: Shard) -> bytes:
    return storage.read_bytes(f"{ShardCache(store).found(shard.key, shard.name)}/{name}")


def _described(shard: Shard, opaque: Sequence[str], report: Callable[[int], None]) -> tuple[list[Any], list[FileFacts]]:
    generators = tfdv.generators()
    accumulators = [generator.create_accumulator() for generator in generators]
    columns = [_Columns() for _ in shard.counts]
    first = 0
    decoder = ExampleDecoder()
    # Not TFXIO, which treats the path as a pattern.
    for records in _read(shard).batch(_BATCH).prefetch(1):
        batch = decoder.decode(records.numpy().tolist())
        for number, part in _ranges(shard.counts, first, batch.num_rows):
            columns[number].add(batch.slice(part.start, len(part)))
        first += len(records)
        legible = _without(batch, opaque)
        for index, generator in enumerate(generators):
            seen = legible if tfdv.counts_values(generator) else batch
            accumulators[index] = generator.add_input(accumulators[index], seen)
        report(len(records))
    hold(shard.name, first, shard.count)
    compacted = [
        generator.compact(accumulator) for generator, accumulator in zip(generators, accumulators, strict=True)
    ]
    return compacted, [each.facts() for each in columns]


def _ranges(counts: Sequence[int], first: int, size: int) -> Iterator[tuple[int, range]]:
    """Maps consecutive records to the data files that they came from.

    Args:
        counts: Number of records of each file in the shard.
        first: Number in the shard of the first record.
        size: Number of records.

    Yields:
        The number of a file, and the range of the given records that came from it.
    """
    for number, (count, end) in enumerate(zip(counts, itertools.accumulate(counts), strict=True)):
        own = range(max(end - count - first, 0), min(end - first, size))
        if own:
            yield number, own


def _read(shard: Shard) -> tf.data.Dataset:
    """The records of a shard, in order."""
    return tf.data.TFRecordDataset(shard.name, compression_of(shard.name))


class _Columns:
    """Collects the facts about columns over a file's records."""

    def __init__(self) -> None:
        self.kinds: dict[str, Counter[str]] = defaultdict(Counter)
        self._nan: Counter[str] = Counter()
        self._infinite: Counter[str] = Counter()

    def add(self, batch: pyarrow.RecordBatch) -> None:
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            # A column that no record of the batch has gets Arrow's null type.
            kind = _KIND_OF_ARROW.get(column.type.value_type) if _is_list(column.type) else None
            if kind and len(column) > column.null_count:
                self.kinds[name][kind] += len(column) - column.null_count
            if kind == "float":
                values = column.flatten()
                self._nan[name] += compute.sum(compute.is_nan(values)).as_py() or 0
                self._infinite[name] += compute.sum(compute.is_inf(values)).as_py() or 0

    def facts(self) -> FileFacts:
        return FileFacts(
            columns={
                name: ColumnFacts(kinds=dict(kinds), nan=self._nan[name], infinite=self._infinite[name])
                for name, kinds in self.kinds.items()
            }
        )


def _is_list(kind: pyarrow.DataType) -> bool:
    return pyarrow.types.is_list(kind) or pyarrow.types.is_large_list(kind)


def _kinds_record_by_record(shard: Shard) -> list[FileFacts]:
    """Column types by data file, for a shard that cannot be read in batches."""
    columns = [_Columns() for _ in shard.counts]
    first = 0
    for batch in _read(shard).batch(_BATCH):
        records = batch.numpy()
        for number, own in _ranges(shard.counts, first, len(records)):
            for record in records[own.start : own.stop]:
                for name, feature in tf.train.Example.FromString(record).features.feature.items():
                    if kind := feature.WhichOneof("kind"):
                        columns[number].kinds[name][_KINDS[kind]] += 1
        first += len(records)
    hold(shard.name, first, shard.count)
    return [each.facts() for each in columns]


def _without(batch: pyarrow.RecordBatch, columns: Sequence[str]) -> pyarrow.RecordBatch:
    names = [name for name in batch.schema.names if name not in columns]
    return pyarrow.RecordBatch.from_arrays([batch.column(batch.schema.get_field_index(name)) for name in names], names)
