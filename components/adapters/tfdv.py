"""Private parts of TensorFlow Data Validation, whose public API is the top of its package.

TFDV computes statistics in Beam, of all data at once. Hubline keeps the accumulators of each shard and merges them when
files are added; accumulators are reached through TFDV's internal generators only.
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
"""The classes of the objects that accumulators are made of, which are written down field by field.

Private: these classes, and that their fields are all of their state.
"""


def generators() -> list[Any]:
    """The generators that work by accumulators: basic statistics, and sketches of frequent and distinct values.

    Private: which generators TFDV uses for its default options.
    """
    return stats_impl.get_generators(tfdv.StatsOptions(), in_memory=True)


def counts_values(generator: Any) -> bool:
    """Whether a generator sketches the values of a column, which is no use where these are encoded images.

    Private: the class of the one generator that doesn't.
    """
    return not isinstance(generator, basic_stats_generator.BasicStatsGenerator)


def extract(accumulators: Sequence[Any], by: Sequence[Any]) -> statistics_pb2.DatasetFeatureStatisticsList:
    """The statistics that accumulators stand for, each of its generator in `by`.

    Private: the function that TFDV does this with.
    """
    return stats_impl.extract_statistics_output(list(accumulators), list(by))


def basic_statistics(batch: pa.RecordBatch) -> statistics_pb2.DatasetFeatureStatistics:
    """TFDV's basic statistics of one batch, without sketches.

    Private: the generator. The public `tfdv.generate_statistics_from_dataframe` needs pandas and takes seconds.
    """
    generator = basic_stats_generator.BasicStatsGenerator()
    accumulator = generator.compact(generator.add_input(generator.create_accumulator(), batch))
    return extract([accumulator], [generator]).datasets[0]
