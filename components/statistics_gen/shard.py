"""The statistics of one shard, in a form that can be kept and merged."""

import pickle
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow
import tensorflow_data_validation as tfdv
from tensorflow_data_validation.statistics import stats_impl
from tensorflow_data_validation.statistics.generators import basic_stats_generator
from tensorflow_metadata.proto.v0 import statistics_pb2
from tfx_bsl.public import tfxio

from components import storage
from components.store import Store, key

_FILE = "accumulators.pickle"
_BATCH = 256  # records to a batch: few enough that images of some megabytes fit


@dataclass(frozen=True)
class Shard:
    """A file of records to describe, and where its description is kept."""

    path: str
    digest: str
    payload: str
    opaque: tuple[str, ...]
    """Columns whose values are not words or numbers, such as encoded images: their values are not counted."""
    store: str
    code: str

    @property
    def key(self) -> str:
        """Names its description in the store."""
        return key("statistics", self.digest, self.payload, self.opaque, self.code)

    @property
    def is_done(self) -> bool:
        """Whether its description is there already."""
        return Store(self.store).find(self.key) is not None


def accumulate(shard: Shard) -> None:
    """Runs TFDV's generators over a shard and keeps what they have accumulated."""
    generators = _generators()
    accumulators = [generator.create_accumulator() for generator in generators]
    source = tfxio.TFExampleRecord if shard.payload == "example" else tfxio.TFSequenceExampleRecord
    options = tfxio.RecordBatchesOptions(batch_size=_BATCH, num_epochs=1, drop_final_batch=False)
    for batch in source(shard.path, telemetry_descriptors=["hubline"]).RecordBatches(options):
        legible = _without(batch, shard.opaque)
        for index, generator in enumerate(generators):
            counts_values = not isinstance(generator, basic_stats_generator.BasicStatsGenerator)
            accumulators[index] = generator.add_input(accumulators[index], legible if counts_values else batch)
    compacted = [
        generator.compact(accumulator) for generator, accumulator in zip(generators, accumulators, strict=True)
    ]
    with Store(shard.store).making(shard.key) as folder:
        storage.write_bytes(f"{folder}/{_FILE}", pickle.dumps(compacted))


def merged(shards: Sequence[Shard]) -> statistics_pb2.DatasetFeatureStatisticsList:
    """The statistics of some shards together, each of which has been accumulated."""
    generators = _generators()
    by_shard = [_load(shard) for shard in shards]
    accumulators = [
        generator.merge_accumulators([loaded[index] for loaded in by_shard])
        for index, generator in enumerate(generators)
    ]
    return stats_impl.extract_statistics_output(accumulators, generators)


def _load(shard: Shard) -> list[Any]:
    with storage.open_binary(f"{Store(shard.store).find(shard.key)}/{_FILE}") as file:
        return pickle.load(file)


def _generators() -> list[Any]:
    """TFDV's generators that work by accumulators: basic statistics, and sketches of frequent and distinct values."""
    return stats_impl.get_generators(tfdv.StatsOptions(), in_memory=True)


def _without(batch: pyarrow.RecordBatch, columns: Sequence[str]) -> pyarrow.RecordBatch:
    names = [name for name in batch.schema.names if name not in columns]
    return pyarrow.RecordBatch.from_arrays([batch.column(batch.schema.get_field_index(name)) for name in names], names)
