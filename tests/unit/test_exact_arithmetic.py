"""Numbers keep their digits: computed values compared with Python's integers, NumPy's float64 and pandas."""

import operator
import pickle
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hubline.preprocessing import exact_arithmetic as exact
from hubline.preprocessing.accumulators import NumberStatistics, QuantileSketches, accumulators
from hubline.preprocessing.analysis import (
    AnalysisResults,
    FixedAnalyzer,
    MomentsRequest,
    QuantilesRequest,
    RecordingAnalyzer,
)
from hubline.preprocessing.config import Features
from hubline.preprocessing.expression import evaluate
from hubline.preprocessing.labels.binary import BinaryLabel
from hubline.preprocessing.transform import transformed
from tests.support.features import features_of

SECONDS = np.array([1_600_000_000 + n % 61 for n in range(610)])
MILLISECONDS = SECONDS * 1000
WHOLE = st.integers(-(2**62), 2**62)
AROUND = st.tuples(WHOLE, st.lists(st.integers(-1000, 1000), min_size=2, max_size=30)).map(
    lambda of: [of[0] + each for each in of[1]]
)
MANY = AROUND | st.lists(WHOLE, min_size=2, max_size=30) | st.lists(st.integers(-9, 9), min_size=2, max_size=30)
FLOATS = st.lists(st.floats(-(2.0**50), 2.0**50, width=32), min_size=2, max_size=30)
COMPARED = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
unhurried = settings(deadline=None, max_examples=60)


def computed(features: Features, parts: Sequence[Mapping[str, Any]]) -> dict[str, np.ndarray]:
    """Features of the last part, with statistics over all parts."""
    found, questions = None, {}
    for part in parts:
        asking = RecordingAnalyzer()
        transformed(features, part, asking)
        found, questions = found or accumulators(asking.questions), asking.questions
        for name, values in asking.values.items():
            found[name].add(values)
    assert found is not None
    moments = {name: found[name].answer() for name, asked in questions.items() if isinstance(asked, MomentsRequest)}
    quantiles = {
        name: found[name].answer(asked.buckets)
        for name, asked in questions.items()
        if isinstance(asked, QuantilesRequest)
    }
    known = FixedAnalyzer(AnalysisResults(moments=moments, quantiles=quantiles, vocabularies={}))
    made = tf.function(lambda columns: transformed(features, columns, known), autograph=False)(dict(parts[-1]))
    return {name: (each.values if isinstance(each, tf.SparseTensor) else each).numpy() for name, each in made.items()}


def column(numbers: Any) -> tf.Tensor:
    whole = all(isinstance(number, int) for number in numbers) or getattr(numbers, "dtype", float) == np.int64
    return tf.constant(np.array(numbers, np.int64 if whole else np.float32))


def standard(numbers: Sequence[int | float]) -> np.ndarray:
    """z-scores in exact fractions."""
    exactly = [Fraction(number) for number in numbers]
    mean = sum(exactly) / len(exactly)
    variance = sum((each - mean) ** 2 for each in exactly) / len(exactly)
    if not variance:
        return np.zeros(len(numbers))
    # The square root of a fraction: as a float, it may be too large or too small to divide by.
    return np.array([float(each - mean) for each in exactly]) / float(variance) ** 0.5


@given(st.lists(MANY, min_size=1, max_size=3) | st.lists(FLOATS, min_size=1, max_size=3))
@example([SECONDS.tolist()])
@unhurried
@pytest.mark.slow
def test_z_scores_and_shares_are_those_of_exact_fractions(parts: list[list[Any]]) -> None:
    features = features_of(
        z={"kind": "numeric", "from": "t", "normalize": "z_score"},
        share={"kind": "numeric", "from": "t", "normalize": "min_max"},
    )
    numbers = [number for part in parts for number in part]
    got = computed(features, [{"t": column(part)} for part in parts])
    size = len(parts[-1])
    np.testing.assert_allclose(got["z"][:, 0], standard(numbers)[-size:], rtol=1e-5, atol=1e-6)
    low, high = Fraction(min(numbers)), Fraction(max(numbers))
    shares = [float((Fraction(each) - low) / ((high - low) or 1)) for each in parts[-1]]
    np.testing.assert_allclose(got["share"][:, 0], shares, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("normalize", ["z_score", "log1p"])
def test_what_is_the_same_everywhere_is_0(normalize: str) -> None:
    features = features_of(t={"kind": "numeric", "normalize": normalize})
    for number in (0.1, -7.0, 3):
        assert computed(features, [{"t": tf.constant([number] * 7)}])["t"].tolist() == [[0.0]] * 7


def test_what_differs_in_the_last_digit_is_not_0() -> None:
    features = features_of(t={"kind": "numeric", "normalize": "z_score"})
    huge = [2**62, 2**62 + 1] * 3
    assert computed(features, [{"t": column(huge)}])["t"].tolist() == [[-1.0], [1.0]] * 3


@pytest.mark.parametrize("missing", ["mean", "median", 1_600_000_010])
def test_what_stands_for_a_missing_number_is_near_the_others(missing: Any) -> None:
    features = features_of(t={"kind": "numeric", "normalize": "z_score", "missing": missing})
    seconds = SECONDS[:100]
    rows = tf.ragged.constant([[int(number)] for number in seconds] + [[]], tf.int64, ragged_rank=1).to_sparse()
    got = computed(features, [{"t": rows}])["t"][-1, 0]
    filling = {"mean": seconds.mean(), "median": np.median(seconds)}.get(missing, missing)
    np.testing.assert_allclose(got, (filling - seconds.mean()) / seconds.std(), atol=1e-6)


@pytest.mark.slow
def test_a_given_scale_a_logarithm_and_steps_take_all_digits() -> None:
    features = features_of(
        given={"kind": "numeric", "from": "t", "normalize": {"mean": 1_600_000_030, "scale": 60}},
        wholly={"kind": "numeric", "from": "t", "normalize": {"mean": 1_600_000_030, "scale": 60}, "missing": 0},
        log={"kind": "numeric", "from": "t", "normalize": "log1p", "missing": 0},
        raw={"kind": "numeric", "from": "t"},
        steps={"kind": "sequence", "from": "t", "normalize": "z_score", "combiner": {"gru": 2}},
    )
    got = computed(features, [{"t": tf.constant(SECONDS)}])
    expected = ((SECONDS - 1_600_000_030) / 60).astype(np.float32)
    np.testing.assert_array_equal(got["given"][:, 0], expected)
    np.testing.assert_array_equal(got["wholly"][:, 0], expected)
    logarithms = np.log1p(SECONDS)  # they differ by 4e-8
    np.testing.assert_allclose(got["log"][:, 0], (logarithms - logarithms.mean()) / logarithms.std(), atol=1e-5)
    np.testing.assert_array_equal(got["raw"][:, 0], SECONDS.astype(np.float32))
    np.testing.assert_allclose(got["steps"], (SECONDS - SECONDS.mean()) / SECONDS.std(), rtol=1e-6)


@given(st.lists(MANY, min_size=1, max_size=3), st.lists(WHOLE | st.floats(-1e15, 1e15), min_size=1, unique=True))
@unhurried
@pytest.mark.slow
def test_whole_numbers_fall_into_the_buckets_that_python_finds(parts: list[list[int]], bounds: list[Any]) -> None:
    bounds = sorted({Fraction(bound): bound for bound in bounds}.values())
    features = features_of(t={"kind": "bucketized", "boundaries": bounds})
    got = computed(features, [{"t": column(part)} for part in parts])["t"]
    assert got.tolist() == [sum(bound <= number for bound in bounds) for number in parts[-1]]


@pytest.mark.parametrize("numbers", [SECONDS, MILLISECONDS * 10**6, SECONDS * 10**9 + 7, SECONDS - 1_600_000_030])
def test_quantiles_of_whole_numbers_are_those_of_pandas(numbers: np.ndarray) -> None:
    got = computed(features_of(t={"kind": "bucketized", "buckets": 5}), [{"t": tf.constant(numbers)}])["t"]
    least = numbers.min()  # pandas computes in float64
    expected = pd.qcut(numbers - least, 5, labels=False)
    assert len(set(got.tolist())) == 5 and (got == expected).mean() > 0.93  # a value on a boundary may be in either


@pytest.mark.slow
@given(st.lists(MANY, min_size=1, max_size=4))
@unhurried
def test_a_median_is_one_of_the_numbers_whatever_cells_they_lie_in(parts: list[list[int]]) -> None:
    known = QuantileSketches()
    for part in parts:
        one = QuantileSketches()
        one.add(column(part))
        known.merge(pickle.loads(pickle.dumps(one)))
    numbers = sorted(number for part in parts for number in part)
    (median,) = known.answer(2)
    spread = numbers[-1] - numbers[0]
    apart = min(abs(numbers[len(numbers) // 2 - n] - median) for n in (0, 1))
    assert apart <= spread * 2**-50 and (spread >= 2**52 or median in numbers)


@pytest.mark.slow
@given(st.lists(st.lists(WHOLE, min_size=1), min_size=1, max_size=3))
@unhurried
def test_moments_of_parts_are_exact(parts: list[list[int]]) -> None:
    known = NumberStatistics(1)
    for part in parts:
        one = NumberStatistics(1)
        one.add(tf.SparseTensor([[row, 0] for row in range(len(part))], column(part), [len(part), 1]))
        known.merge(pickle.loads(pickle.dumps(one)))
    numbers = [number for part in parts for number in part]
    (origin,), (mean,), _, (least,), (greatest,) = known.answer()
    spread = max(numbers) - min(numbers)
    for distance, expected in (
        (mean, Fraction(sum(numbers), len(numbers))),
        (least, min(numbers)),
        (greatest, max(numbers)),
    ):
        assert abs(Fraction(origin) + Fraction(distance) - expected) <= spread * Fraction(1, 2**48)


def held(comparison: str, **columns: Any) -> list[bool]:
    tensors = {name: exact.NumberColumn.of(column(values)) for name, values in columns.items()}
    traced = tf.function(lambda: evaluate(comparison, tensors.__getitem__), autograph=False)
    eager = evaluate(comparison, tensors.__getitem__).numpy().tolist()
    assert traced().numpy().tolist() == eager
    return eager


@given(WHOLE, WHOLE, WHOLE, st.sampled_from(list(COMPARED)))
@example(2**62, 2**62, 2**62, ">")
@example(-(2**62), 3, 2**62, "==")
@unhurried
@pytest.mark.slow
def test_whole_numbers_are_compared_as_by_python_and_never_wrap_around(a: int, b: int, limit: int, sign: str) -> None:
    compare = COMPARED[sign]
    assert held(f"a {sign} {limit}", a=[a]) == [compare(a, limit)]
    assert held(f"a {sign} b", a=[a], b=[b]) == [compare(a, b)]
    for text, value in ((f"{a} - b", a - b), (f"b - {a}", b - a), (f"b * 2 - {a}", 2 * b - a), (f"-b + {a}", a - b)):
        if abs(value) < 2**62:
            assert held(f"{text} {sign} {limit}", b=[b]) == [compare(value, limit)]
    for text, value in (("a * b", a * b), ("a + b + a + b", 2 * (a + b)), ("a * a - b", a * a - b)):
        if abs(value) >= 2**64:  # floats beyond int64
            assert held(f"{text} {sign} 0", a=[a], b=[b]) == [compare(value, 0)]


@given(
    st.integers(-(2**53), 2**53),
    st.floats(-(2.0**50), 2.0**50, width=32),
    st.floats(-1e15, 1e15),
    st.sampled_from(list(COMPARED)),
)
@unhurried
@pytest.mark.slow
def test_floats_are_calculated_as_by_numpy_in_float64(whole: int, short: float, other: float, sign: str) -> None:
    names = {"w": np.array([whole], np.float64), "x": np.array([short], np.float64)}
    for comparison in (f"x * {other} {sign} w", f"w / 3 {sign} x + {other}", f"{other} - w / 7 {sign} 0.1 * x"):
        with np.errstate(all="ignore"):
            expected = eval(comparison, {}, names)
        assert held(comparison, w=[whole], x=[short]) == expected.tolist()


@pytest.mark.parametrize("written", [0.1, 0.7, 1.1, 1e-3, 2.5, 1234.56])
def test_a_float_is_what_it_was_written_as(written: float) -> None:
    assert held(f"x == {written}", x=[written]) == [True]
    assert held(f"{written} < x", x=[written]) == [False]
    label = BinaryLabel.model_validate({"kind": "binary", "from": "x", "above": written})
    values = tf.sparse.from_dense(tf.constant([[written], [float(np.nextafter(np.float32(written), np.float32(1e9)))]]))
    assert label.index(lambda name: values).numpy().tolist() == [0, 1]
    features = features_of(x={"kind": "bucketized", "boundaries": [written]})
    assert computed(features, [{"x": tf.constant([written])}])["x"].tolist() == [1]


@pytest.mark.slow
@given(WHOLE, WHOLE | st.floats(-1e15, 1e15, allow_subnormal=False))  # TensorFlow takes those for 0
@unhurried
def test_a_threshold_on_whole_numbers_is_exact(number: int, threshold: int | float) -> None:
    label = BinaryLabel.model_validate({"kind": "binary", "from": "t", "above": threshold})
    assert BinaryLabel.model_validate_json(label.to_property()) == label
    for each in (number, int(threshold) - 1, int(threshold), int(threshold) + 1):
        values = tf.SparseTensor([[0, 0]], column([each]), [1, 1])
        assert label.index(lambda name, values=values: values).numpy().tolist() == [int(each > threshold)]


def test_points_in_time_are_told_apart() -> None:
    got = np.array(held("t > 1600000030", t=SECONDS))
    np.testing.assert_array_equal(got, SECONDS > 1_600_000_030)
    later = MILLISECONDS + np.arange(len(SECONDS)) % 100
    np.testing.assert_array_equal(held("b - a > 49", a=MILLISECONDS, b=later), later - MILLISECONDS > 49)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [tf.int64, tf.float32])
def test_a_column_without_any_number_comes_to_zeros(dtype: tf.DType) -> None:
    features = features_of(
        z={"kind": "numeric", "from": "t", "normalize": "z_score"},
        median={"kind": "numeric", "from": "t", "normalize": "min_max", "missing": "median"},
        bucket={"kind": "bucketized", "from": "t", "buckets": 3},
    )
    none = tf.SparseTensor(tf.zeros([0, 2], tf.int64), tf.zeros([0], dtype), [2, 0])
    got = computed(features, [{"t": none}, {"t": none}])
    assert got["z"].tolist() == got["median"].tolist() == [[0.0], [0.0]] and got["bucket"].tolist() == []
