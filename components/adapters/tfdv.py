"""Private APIs of TensorFlow Data Validation; its public API is the package's top level.

TFDV computes statistics over all data at once, in Beam. Hubline caches the accumulators of each shard and merges them
when files are added; accumulators are accessible only through TFDV's internal generators.
"""

import inspect
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import tensorflow_data_validation as tfdv
from tensorflow_data_validation.statistics import stats_impl
from tensorflow_data_validation.statistics.generators import (
    basic_stats_generator,
    top_k_uniques_sketch_stats_generator,
)
from tensorflow_data_validation.utils import path as feature_path
from tensorflow_data_validation.utils import variance_util
from tensorflow_metadata.proto.v0 import statistics_pb2

ACCUMULATOR_CLASSES = tuple(
    kind
    for module in (basic_stats_generator, top_k_uniques_sketch_stats_generator, variance_util, feature_path)
    for _, kind in inspect.getmembers(module, inspect.isclass)
    if kind.__module__ == module.__name__
)
"""Classes that accumulators consist of; they are serialized field by field.

Private: these classes, and that their fields are their entire state.
"""


def generators() -> list[Any]:
    """Generators that work with accumulators: basic statistics, and sketches of frequent and distinct values.

    Private: the choice of generators for TFDV's default options.
    """
    return stats_impl.get_generators(tfdv.StatsOptions(), in_memory=True)


def counts_values(generator: Any) -> bool:
    """Whether a generator sketches a column's values, which is pointless for encoded images.

    Private: the class of the one generator that doesn't.
    """
    return not isinstance(generator, basic_stats_generator.BasicStatsGenerator)


def extract(accumulators: Sequence[Any], by: Sequence[Any]) -> statistics_pb2.DatasetFeatureStatisticsList:
    """Statistics from accumulators.

    Private: the function with which TFDV does this.

    Args:
        accumulators: The accumulators.
        by: The generator of each.
    """
    return stats_impl.extract_statistics_output(list(accumulators), list(by))


def basic_statistics(batch: pa.RecordBatch) -> statistics_pb2.DatasetFeatureStatistics:
    """TFDV's basic statistics of one batch, without sketches.

    Private: the generator. The public `tfdv.generate_statistics_from_dataframe` needs pandas and takes seconds.
    """
    generator = basic_stats_generator.BasicStatsGenerator()
    accumulator = generator.compact(generator.add_input(generator.create_accumulator(), batch))
    return extract([accumulator], [generator]).datasets[0]
