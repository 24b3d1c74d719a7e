"""Analysis of the whole training split shard by shard, compared with NumPy, collections and TF Transform."""

import pickle
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from hubline.components.transform.shard import Shard, answers
from hubline.preprocessing.accumulators import DocumentFrequency, NumberStatistics, QuantileSketches, WordCounts
from hubline.preprocessing.analysis import AnalysisResults, VocabularyLimits
from tests.support import example_data
from tests.support.analysis import ANALYSIS, shards
from tests.support.stages import keep

FLOATS = st.floats(-1e6, 1e6, width=32)
PARTS = st.lists(st.lists(FLOATS, max_size=20), min_size=1, max_size=4)
WORDS = st.lists(st.lists(st.text("abc", max_size=2), max_size=20), min_size=1, max_size=4)


def sparse(numbers: Sequence[float]) -> tf.SparseTensor:
    rows = [[row, 0] for row in range(len(numbers))]
    indices = np.array(rows, np.int64).reshape(-1, 2)
    return tf.SparseTensor(indices, np.array(numbers, float), [len(numbers), 1])


def absolute(known: NumberStatistics) -> list[tuple[float, ...]]:
    """Mean, deviation, minimum and maximum by position, with the origin added."""
    origin, mean, deviation, least, greatest = map(np.array, known.answer())
    return [tuple(each.tolist()) for each in (origin + mean, deviation, origin + least, origin + greatest)]


@pytest.mark.slow
@given(PARTS)
@settings(deadline=None, max_examples=50)
def test_moments_of_parts_are_those_of_the_whole(parts: list[list[float]]) -> None:
    known = NumberStatistics(1)
    for part in parts:
        one = NumberStatistics(1)
        one.add(sparse(part))
        known.merge(pickle.loads(pickle.dumps(one)))
    whole = np.array([number for part in parts for number in part], np.float32).astype(float)
    expected = [whole.mean(), whole.std(), whole.min(), whole.max()] if len(whole) else [0, 0, 0, 0]
    np.testing.assert_allclose([each[0] for each in absolute(known)], expected, rtol=1e-12, atol=1e-9)


def test_moments_are_by_position() -> None:
    known = NumberStatistics(3)
    known.add(tf.sparse.from_dense(np.array([[1.0, 10.0, 0.0], [3.0, 0.0, 0.0]])))  # zeros are missing
    mean, deviation, least, greatest = absolute(known)
    assert (mean, deviation) == ((2.0, 10.0, 0.0), (1.0, 0.0, 0.0))
    assert (least, greatest) == ((1.0, 10.0, 0.0), (3.0, 10.0, 0.0))


@given(WORDS, st.one_of(st.none(), st.integers(1, 5)), st.one_of(st.none(), st.integers(1, 5)))
@settings(deadline=None, max_examples=50)
def test_words_of_parts_are_counted_together(parts: list[list[str]], top_k: int | None, min_count: int | None) -> None:
    known = WordCounts()
    for part in parts:
        one = WordCounts()
        one.add(tf.constant(part, tf.string))
        known.merge(pickle.loads(pickle.dumps(one)))
    counted = Counter(word.encode() for part in parts for word in part if word)
    ordered = sorted(counted, key=lambda word: (counted[word], word), reverse=True)
    expected = [word for word in ordered if counted[word] >= (min_count or 0)][:top_k]
    assert known.answer(VocabularyLimits(top_k=top_k, min_count=min_count)) == expected


def test_words_that_cannot_stand_in_a_file_are_left_out() -> None:
    known = WordCounts()
    known.add(tf.constant(["a", "", "two\nlines", "b\r", "a"]))
    assert known.answer(VocabularyLimits()) == [b"a"]


@pytest.mark.parametrize("buckets", [2, 4, 10])
def test_quantiles_of_parts_are_those_of_the_whole(buckets: int) -> None:
    numbers = np.random.default_rng(0).lognormal(size=20_000).astype(np.float32)
    known = QuantileSketches()
    for part in np.array_split(numbers, 7):
        one = QuantileSketches()
        one.add(tf.constant(part))
        known.merge(pickle.loads(pickle.dumps(one)))
    boundaries = known.answer(buckets)
    shares = [(numbers < boundary).mean() for boundary in boundaries]
    np.testing.assert_allclose(shares, np.arange(1, buckets) / buckets, atol=2e-4)
    assert QuantileSketches().answer(buckets) == (0.0,) * (buckets - 1)


def found(folder: Path, made: Sequence[Shard]) -> tuple[AnalysisResults, dict[str, list[str]]]:
    for shard in made:
        keep(ANALYSIS, shard, str(folder / "store"))
    answered = answers(ANALYSIS.questions, made, str(folder / "store"), str(folder / "vocabularies"))
    return answered, {name: Path(file).read_text().split() for name, file in answered.vocabularies.items()}


def test_all_questions_are_answered_in_one_pass_however_many_shards_there_are(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    x, y = rng.normal(3, 2, 300).astype(np.float32), rng.integers(0, 3, 300)
    words = rng.choice(["a", "b", "c", "d"], 300, p=[0.1, 0.2, 0.3, 0.4])
    records = [
        example_data.record(x=float(number), word=str(word), y=int(label))
        for number, word, label in zip(x, words, y, strict=True)
    ] + [example_data.record(y=0)]
    one, words_of_one = found(tmp_path / "one", shards(tmp_path / "one", records, 1))
    three, words_of_three = found(tmp_path / "three", shards(tmp_path / "three", records, 3))
    for answered in (one, three):
        (origin,), (mean,), (deviation,), *_ = answered.moments["z"]
        np.testing.assert_allclose([origin + mean, deviation], [x.astype(float).mean(), x.astype(float).std()])
        np.testing.assert_allclose(answered.quantiles["z.median.0"], [np.median(x)], atol=0.02)
        np.testing.assert_allclose(answered.quantiles["bucket"], np.quantile(x, [0.25, 0.5, 0.75]), atol=0.05)
    assert words_of_one == words_of_three
    assert words_of_one["feature_word"] == ["d", "c"]
    counted = Counter(map(str, [*y.tolist(), 0]))
    assert words_of_one["label"] == sorted(counted, key=lambda word: (counted[word], word), reverse=True)


@pytest.mark.slow
@given(st.lists(st.lists(st.lists(st.sampled_from("abc"), max_size=4), min_size=1, max_size=4), max_size=3))
def test_records_with_a_word_are_counted_once_over_all_parts(parts: list[list[list[str]]]) -> None:
    known = DocumentFrequency()
    for part in parts:
        one = DocumentFrequency()
        one.add(tf.ragged.constant(part, tf.string, ragged_rank=1).to_sparse())
        known.merge(pickle.loads(pickle.dumps(one)))
    records = [set(record) for part in parts for record in part]
    assert known.answer([b"a", b"c"]) == (len(records), tuple(sum(word in each for each in records) for word in "ac"))
