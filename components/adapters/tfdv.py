"""Private APIs of TensorFlow Data Validation; its public API is the package's top level.

TFDV computes statistics over all data at once, in Beam. Hubline caches the accumulators of each shard and merges them
when files are added; accumulators are accessible only through TFDV's internal generators.
"""

import inspect
from collections.abc import MutableMapping, Sequence
from typing import Any

import pyarrow as pa
import tensorflow_data_validation as tfdv
from tensorflow_data_validation import constants
from tensorflow_data_validation.statistics import stats_impl
from tensorflow_data_validation.statistics.generators import (
    basic_stats_generator,
    top_k_uniques_sketch_stats_generator,
)
from tensorflow_data_validation.utils import path as feature_path
from tensorflow_data_validation.utils import variance_util
from tensorflow_metadata.proto.v0 import statistics_pb2
from tfx_bsl.arrow import array_util
from tfx_bsl.sketches import KmvSketch

from hubline.core.frequent_values import FrequentValues

SKETCHED_VALUES = 1024
"""Number of frequent values that are kept of each column, as in TFDV, which lists the first thousand of them."""
_LONGEST_VALUE = 1024  # bytes, as in TFDV
_DISTINCT = 16384  # up to this number, as in TFDV, the number of distinct values is exact

ACCUMULATOR_CLASSES: tuple[type, ...] = (
    FrequentValues,
    *(
        kind
        for module in (basic_stats_generator, top_k_uniques_sketch_stats_generator, variance_util, feature_path)
        for _, kind in inspect.getmembers(module, inspect.isclass)
        if kind.__module__ == module.__name__
    ),
)
"""Classes that accumulators consist of; they are serialized field by field.

Private: these classes, and that their fields are their entire state.
"""


def generators() -> list[Any]:
    """Generators that work with accumulators: basic statistics, and sketches of frequent and distinct values.

    Private: the choice of generators for TFDV's default options.
    """
    options = tfdv.StatsOptions()
    return [
        _ValuesGenerator(
            num_top_values=options.num_top_values, num_rank_histogram_buckets=options.num_rank_histogram_buckets
        )
        if isinstance(generator, top_k_uniques_sketch_stats_generator.TopKUniquesSketchStatsGenerator)
        else generator
        for generator in stats_impl.get_generators(options, in_memory=True)
    ]


class _ValuesGenerator(top_k_uniques_sketch_stats_generator.TopKUniquesSketchStatsGenerator):
    """TFDV's generator, with a sketch of frequent values that is the same in any process.

    Private: the method that creates and updates the sketches of a column, and the class that holds them.
    """

    def _update_combined_sketch_for_feature(
        self,
        feature_name: feature_path.FeaturePath,
        values: pa.Array,
        weights: Any,
        accumulator: MutableMapping[feature_path.FeaturePath, Any],
    ) -> None:
        if feature_name not in accumulator:
            accumulator[feature_name] = top_k_uniques_sketch_stats_generator._CombinedSketch(
                distinct=KmvSketch(_DISTINCT), topk_unweighted=_frequent_values(), topk_weighted=_frequent_values()
            )
        flat, _ = array_util.flatten_nested(values)
        accumulator[feature_name].add(flat)


def _frequent_values() -> FrequentValues:
    return FrequentValues(
        SKETCHED_VALUES,
        _LONGEST_VALUE,
        not_text=constants.NON_UTF8_PLACEHOLDER.encode(),
        too_long=constants.LARGE_BYTES_PLACEHOLDER.encode(),
    )


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
