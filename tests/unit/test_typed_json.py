"""Cached files contain only data, and round-trip unchanged."""

import math
import pickle
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
from tfx_bsl import sketches

from hubline.core import typed_json
from hubline.preprocessing.accumulators import ACCUMULATORS, NumberStatistics, QuantileSketches
from tests.support.rooms import ROOMS

ROOT = Path(__file__).parents[2]


def test_values_come_back_as_they_were() -> None:
    value = {
        b"word\xff": Counter({b"a": 2, "b": 1}),
        ("a", 1): [np.float32(0.1), np.int64(-(2**60)), 2**70, -math.inf, None, True],
        "array": np.arange(6.0).reshape(2, 3),
    }
    found = typed_json.load(typed_json.dump(value, ()), ())
    np.testing.assert_array_equal(found.pop("array"), value.pop("array"))
    assert found == value
    assert type(found[b"word\xff"]) is Counter
    assert [type(item) for item in found[("a", 1)]] == [type(item) for item in value[("a", 1)]]


def test_objects_and_sketches_go_on_where_they_were() -> None:
    numbers, ranks = NumberStatistics(2), QuantileSketches()
    numbers.count += 3
    numbers.mean[:] = [0.5, np.nan]
    ranks.add(tf.range(1000, dtype=tf.int64))
    again = typed_json.load(typed_json.dump({"n": numbers, "r": ranks}, ACCUMULATORS), ACCUMULATORS)
    np.testing.assert_array_equal(again["n"].mean, numbers.mean)
    assert again["n"].greatest.tolist() == [-math.inf] * 2
    both = typed_json.load(typed_json.dump(ranks, ACCUMULATORS), ACCUMULATORS)
    both.merge(again["r"])
    assert both.answer(2) == ranks.answer(2)
    sketch = sketches.KmvSketch(8)
    sketch.AddValues(pa.array(["a", "a", "b"]))
    assert typed_json.load(typed_json.dump(sketch, ()), ()).Estimate() == sketch.Estimate() == 2


class Stranger:
    """A class that cached files may not contain."""


def test_nothing_but_known_classes_is_written_or_read() -> None:
    with pytest.raises(TypeError, match=r"no way to keep a .*Stranger"):
        typed_json.dump([Stranger()], ACCUMULATORS)
    with pytest.raises(ValueError, match="not what is kept here"):
        typed_json.load(b'{"object": "builtins.eval", "fields": {}}', ACCUMULATORS)
    with pytest.raises(ValueError, match="not numbers"):
        typed_json.load(b'{"array": "|O", "shape": [1], "bytes": "AAAAAAAAAAA="}', ())
    with pytest.raises(ValueError):
        typed_json.load(pickle.dumps(Stranger()), ACCUMULATORS)


def test_product_code_reads_no_pickles() -> None:
    pattern = re.compile(r"\b(pickle|cloudpickle|dill|joblib|shelve|marshal)\b\.?(loads?|open)?|allow_pickle=True")
    found = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for room in ROOMS
        for path in (ROOT / room).rglob("*.py")
        for line in path.read_text().splitlines()
        if pattern.search(line) and not line.lstrip().startswith(("#", '"', "A pickle"))
    ]
    assert not found
