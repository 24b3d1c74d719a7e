"""Statistics of shards: the same whatever computes them, and exact where they can be."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorflow_data_validation import constants

from hubline.components.adapters.tfdv import SKETCHED_VALUES
from hubline.components.statistics_gen.shard import Description, Shard, merged
from hubline.core.frequent_values import FrequentValues
from tests.support import example_data
from tests.support.stages import keep


def table(seed: int, rows: int = 2000) -> dict[str, list[Any]]:
    """Columns with few values, and with more distinct values than a sketch holds."""
    random = np.random.default_rng(seed)
    rare = random.integers(0, 3 * SKETCHED_VALUES, rows)
    rare[::4] = 7
    return {
        "number": random.normal(size=rows).astype(np.float32).tolist(),
        "few": [f"word{value}" for value in random.integers(0, 5, rows)],
        "many": [f"id{value}" for value in rare],
        "unique": [f"{seed}-{row}" for row in range(rows)],
        "odd": [b"\xff" if row % 4 else b"x" * 2000 for row in range(rows)],
    }


def written(folder: Path, columns: dict[str, list[Any]]) -> tuple[str, int]:
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    path = example_data.write_tfrecord(folder, [example_data.record(**row) for row in rows])
    return str(path), len(rows)


@pytest.fixture(scope="module")
def statistics(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """Statistics of the same two shards, computed twice."""
    folder = tmp_path_factory.mktemp("statistics")
    files = [written(folder / f"{seed}", table(seed)) for seed in (0, 1)]
    found = []
    for attempt in range(2):
        store = str(folder / f"store{attempt}")
        shards = [Shard(path, (count,), f"key-{number}") for number, (path, count) in enumerate(files)]
        for shard in shards:
            keep(Description(opaque=()), shard, store)
        found += [merged(store, shards), merged(store, shards, at_once=1)]
    return found


def test_statistics_are_the_same_bytes_every_time(statistics: list[Any]) -> None:
    assert len({each.SerializeToString(deterministic=True) for each in statistics}) == 1


def test_what_is_listed_of_a_column_is_what_is_frequent(statistics: list[Any]) -> None:
    columns = {feature.path.step[0]: feature for feature in statistics[0].datasets[0].features}
    exact = {name: Counter(table(0)[name]) + Counter(table(1)[name]) for name in table(0)}
    few, many = columns["few"].string_stats, columns["many"].string_stats
    assert {each.label: each.sample_count for each in few.rank_histogram.buckets} == exact["few"]
    assert few.unique == 5 and many.unique == len(exact["many"]) > SKETCHED_VALUES
    assert many.top_values[0].value == "id7" and len(many.rank_histogram.buckets) == 1000
    assert exact["many"]["id7"] <= many.top_values[0].frequency <= exact["many"]["id7"] + 4000 / SKETCHED_VALUES
    assert columns["unique"].string_stats.unique == 4000
    assert [(each.value, each.frequency) for each in columns["odd"].string_stats.top_values] == [
        (constants.NON_UTF8_PLACEHOLDER, 3000),
        (constants.LARGE_BYTES_PLACEHOLDER, 1000),
    ]
    numbers = np.array([*table(0)["number"], *table(1)["number"]])
    assert columns["number"].num_stats.median == pytest.approx(np.median(numbers), abs=0.05)


def sketched(batches: Sequence[Sequence[bytes]], most: int) -> FrequentValues:
    sketch = FrequentValues(most, 8, b"not text", b"too long")
    for batch in batches:
        sketch.AddValues(pa.array(batch, pa.binary()))
    return sketch


BATCHES = st.lists(st.lists(st.sampled_from([b"%d" % number for number in range(12)]), max_size=20), max_size=8)


@settings(max_examples=60, deadline=None)
@given(parts=st.lists(BATCHES, min_size=1, max_size=3), most=st.integers(1, 6))
def test_counts_are_upper_bounds_within_the_error_of_the_sketch(parts: list[list[list[bytes]]], most: int) -> None:
    first, *others = (sketched(batches, most) for batches in parts)
    for other in others:
        first.Merge(other)
    exact = Counter(value for batches in parts for batch in batches for value in batch)
    found = {each["values"]: each["counts"] for each in first.Estimate().to_pylist()}
    assert len(found) == min(most, len(exact)) and first.error <= exact.total() / (most + 1)
    assert all(exact[value] <= count <= exact[value] + first.error for value, count in found.items())
    assert all(exact[value] <= first.error for value in exact.keys() - found.keys())


def test_values_that_cannot_be_shown_count_together() -> None:
    found = sketched([[b"a", b"\xff", b"123456789", b"\xff\xfe"]], 4).Estimate().to_pylist()
    assert [(each["values"], each["counts"]) for each in found] == [(b"not text", 2), (b"a", 1), (b"too long", 1)]
