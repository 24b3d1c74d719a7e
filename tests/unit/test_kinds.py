"""Kinds of feature, compared with tf.feature_column, pandas and NumPy: eagerly, in tf.data, and through TF
Transform."""

import itertools
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from hubline.core.errors import DataError
from hubline.preprocessing.analysis import BeamAnalyzer
from hubline.preprocessing.transform import transformed
from tests.support.features import FC, Analysed, columns, features_of

warnings.filterwarnings("ignore", category=DeprecationWarning)

ROWS: list[dict[str, Any]] = [
    {"x": [1.0], "n": [3], "word": ["red"], "words": ["a", "b", "a"], "w": [1.0, 2.0, 3.0], "text": ["The cat sat"]},
    {"x": [2.5], "n": [0], "word": ["green"], "words": ["b"], "w": [0.5], "text": ["the dog"]},
    {"x": [], "n": [7], "word": [], "words": [], "w": [], "text": []},
    {"x": [-4.0], "n": [1], "word": ["red"], "words": ["c", "zzz"], "w": [1.0, 1.0], "text": ["a cat a cat"]},
    {"x": [10.0], "n": [23], "word": ["blue"], "words": ["c"], "w": [2.0], "text": ["sat"]},
    {"x": [2.5], "n": [99], "word": ["red"], "words": ["a"], "w": [1.0], "text": ["Dog cat"]},
]


@pytest.fixture
def analyse(tmp_path: Path):
    return lambda rows=ROWS, **features: Analysed(features_of(**features), rows, tmp_path)


def dense_features(column: Any, given: Mapping[str, Any]) -> np.ndarray:
    layer = tf.keras.layers.DenseFeatures([column])
    return layer(dict(given)).numpy()


@pytest.mark.slow
def test_numbers_are_filled_and_normalised_like_pandas(analyse) -> None:
    analysed = analyse(
        z={"kind": "numeric", "from": "x", "normalize": "z_score"},
        m={"kind": "numeric", "from": "x", "normalize": "min_max", "missing": "median", "missing_indicator": True},
        raw={"kind": "numeric", "from": "x", "missing": -1.0},
        given={"kind": "numeric", "from": "n", "normalize": {"mean": 3, "scale": 2}},
        logs={"kind": "numeric", "from": "x", "normalize": "log1p", "missing": "median"},
    )
    got = analysed.graph(columns(ROWS))
    x = pd.Series([row["x"][0] if row["x"] else np.nan for row in ROWS])
    n = pd.Series([row["n"][0] for row in ROWS])
    z = (x.fillna(x.mean()) - x.mean()) / x.std(ddof=0)
    np.testing.assert_allclose(got["z"][:, 0], z, rtol=1e-5, atol=1e-6)
    filled = x.fillna(x.median())
    np.testing.assert_allclose(got["m"][:, 0], (filled - x.min()) / (x.max() - x.min()), rtol=1e-5)
    np.testing.assert_array_equal(got["m"][:, 1], x.isna())
    np.testing.assert_allclose(got["raw"][:, 0], x.fillna(-1.0))
    np.testing.assert_allclose(got["given"][:, 0], (n - 3) / 2)
    logarithms, filled_logarithms = (np.log1p(np.maximum(each, -1 + 1e-6)) for each in (x, filled))
    expected = (filled_logarithms - logarithms.mean()) / logarithms.std(ddof=0)
    np.testing.assert_allclose(got["logs"][:, 0], expected, rtol=1e-5, atol=1e-6)


CATEGORIES = {
    "listed": (
        {"kind": "categorical", "from": "word", "vocabulary": ["red", "blue"]},
        lambda: FC.categorical_column_with_vocabulary_list("word", ["red", "blue"]),
    ),
    "listed with others": (
        {"kind": "categorical", "from": "word", "vocabulary": ["red", "blue"], "oov_buckets": 5},
        lambda: FC.categorical_column_with_vocabulary_list("word", ["red", "blue"], num_oov_buckets=5),
    ),
    "listed with a default": (
        {"kind": "categorical", "from": "words", "vocabulary": ["a", "b"], "default": "b"},
        lambda: FC.categorical_column_with_vocabulary_list("words", ["a", "b"], default_value=1),
    ),
    "hashed": (
        {"kind": "categorical", "from": "words", "hash_buckets": 7},
        lambda: FC.categorical_column_with_hash_bucket("words", 7),
    ),
    "hashed numbers": (
        {"kind": "categorical", "from": "n", "hash_buckets": 7},
        lambda: FC.categorical_column_with_hash_bucket("n", 7, tf.int64),
    ),
    "numbers": (
        {"kind": "categorical", "from": "n", "identity": 30, "default": 2},
        lambda: FC.categorical_column_with_identity("n", 30, default_value=2),
    ),
    "crossed": (
        {"kind": "crossed", "of": ["words", "n"], "hash_buckets": 50},
        lambda: FC.crossed_column(["words", "n"], 50),
    ),
    "weighted": (
        {"kind": "categorical", "from": "words", "vocabulary": ["a", "b", "c", "zzz"], "weights": "w"},
        lambda: FC.weighted_categorical_column(
            FC.categorical_column_with_vocabulary_list("words", ["a", "b", "c", "zzz"]), "w"
        ),
    ),
}


@pytest.mark.parametrize("name", CATEGORIES)
@pytest.mark.slow
def test_categories_are_those_of_feature_columns(name: str, analyse) -> None:
    described, column = CATEGORIES[name]
    analysed = analyse(one=described, vector=described | {"encode": {"embedding": 3, "combiner": "sqrtn"}})
    given = columns(ROWS)
    model = analysed.layers()
    got = model(analysed.graph(given))
    np.testing.assert_allclose(got["one"], dense_features(FC.indicator_column(column()), given), rtol=1e-6)
    (table,) = model.trainable_weights
    expected = FC.embedding_column(column(), 3, "sqrtn", initializer=lambda shape, dtype, **_: table.numpy())
    np.testing.assert_allclose(got["vector"], dense_features(expected, given), rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_categories_by_a_file_are_those_of_feature_columns(analyse, tmp_path: Path) -> None:
    file = tmp_path / "words"
    file.write_text("red\nmauve\nblue\n")
    described = {"kind": "categorical", "from": "word", "vocabulary": {"file": str(file)}}
    analysed = analyse(one=described, more=described | {"oov_buckets": 3})
    given = columns(ROWS)
    graph, model = analysed.graph, analysed.layers()
    file.unlink()  # the graph contains it
    got = model(graph(given))
    file.write_text("red\nmauve\nblue\n")
    for name, buckets in (("one", 0), ("more", 3)):
        column = FC.categorical_column_with_vocabulary_file("word", str(file), num_oov_buckets=buckets)
        np.testing.assert_array_equal(got[name], dense_features(FC.indicator_column(column), given))


@pytest.mark.slow
def test_numbers_of_categories_may_be_written_as_digits(analyse) -> None:
    rows = [row | {"word": [text]} for row, text in zip(ROWS, ["7", "03", "red", "-1", "9", "9" * 30], strict=True)]
    analysed = analyse(
        rows,
        one={"kind": "categorical", "from": "word", "identity": 8},
        other={"kind": "categorical", "from": "word", "identity": 8, "default": 0},
    )
    got = analysed.layers()(analysed.graph(columns(rows)))
    known = np.eye(8)[[7, 3]]
    np.testing.assert_array_equal(got["one"], [*known, *np.zeros([4, 8])])
    np.testing.assert_array_equal(got["other"], [*known, *np.eye(8)[[0, 0, 0, 0]]])


@pytest.mark.slow
def test_buckets_are_those_of_feature_columns_and_of_pandas(analyse) -> None:
    rng = np.random.default_rng(0)
    rows = [ROWS[0] | {"x": [float(value)]} for value in rng.normal(size=1000)]
    boundaries = [-1.0, 0.0, 0.5]
    analysed = analyse(
        rows,
        given={"kind": "bucketized", "from": "x", "boundaries": boundaries},
        found={"kind": "bucketized", "from": "x", "buckets": 4},
    )
    model, given = analysed.layers(), columns(rows)
    got = model(analysed.graph(given))
    x = np.array([row["x"][0] for row in rows], np.float32)
    column = FC.bucketized_column(FC.numeric_column("x"), boundaries)
    np.testing.assert_array_equal(got["given"], dense_features(column, {"x": x[:, np.newaxis]}))
    quantiles = pd.qcut(x, 4, labels=False)
    assert (np.argmax(got["found"], axis=1) == quantiles).mean() > 0.995  # a value on a boundary may be in either


@pytest.mark.slow
def test_crosses_take_features_that_have_categories(analyse) -> None:
    analysed = analyse(
        bucket={"kind": "bucketized", "from": "x", "boundaries": [0.0, 3.0], "encode": "none"},
        cross={"kind": "crossed", "of": ["bucket", "word"], "hash_buckets": 40},
    )
    rows = [row for row in ROWS if row["x"]]
    given = columns(rows)
    got = analysed.layers()(analysed.graph(given))
    column = FC.crossed_column([FC.bucketized_column(FC.numeric_column("x"), [0.0, 3.0]), "word"], 40)
    dense = dict(given, x=tf.sparse.to_dense(given["x"]))
    np.testing.assert_array_equal(got["cross"], dense_features(FC.indicator_column(column), dense))


def test_a_column_of_floats_cannot_be_crossed() -> None:
    features = features_of(cross={"kind": "crossed", "of": ["word", "x"], "hash_buckets": 40})
    with pytest.raises(DataError, match=r"features\.cross crosses 'x', which holds floats; cross a bucketized feature"):
        transformed(features, columns(ROWS), BeamAnalyzer())


@pytest.mark.slow
def test_a_computed_vocabulary_is_by_frequency(analyse) -> None:
    analysed = analyse(
        one={"kind": "categorical", "from": "words", "vocabulary": {"top_k": 2}, "oov_buckets": 1},
        many={"kind": "categorical", "from": "words", "encode": "multi_hot"},
    )
    got = analysed.layers()(analysed.graph(columns(ROWS)))
    # a three times; b and c twice each, of which the last in order comes first.
    np.testing.assert_array_equal(got["one"], [[2, 0, 1], [0, 0, 1], [0, 0, 0], [0, 1, 1], [0, 1, 0], [1, 0, 0]])
    assert got["many"].shape == [6, 4] and np.max(got["many"]) == 1.0


@pytest.mark.slow
def test_text_is_a_bag_of_ngrams_weighed_by_tf_idf(analyse) -> None:
    analysed = analyse(
        bag={"kind": "text", "from": "text", "bag": {"ngrams": [1, 2]}, "encode": "one_hot"},
        weighed={
            "kind": "text",
            "from": "text",
            "bag": {"vocabulary": {"top_k": 4}, "tf_idf": True},
            "encode": "one_hot",
        },
    )
    got = analysed.layers()(analysed.graph(columns(ROWS)))
    vocabulary = [word.decode() for word in analysed.output.vocabulary_by_name("feature_bag")]
    texts = [(row["text"][0].lower().split() if row["text"] else []) for row in ROWS]
    grams = [[*words, *(" ".join(pair) for pair in itertools.pairwise(words))] for words in texts]
    np.testing.assert_array_equal(got["bag"], [[each.count(word) for word in vocabulary] for each in grams])
    known = [word.decode() for word in analysed.output.vocabulary_by_name("feature_weighed")]
    kept = [[word for word in words if word in known] for words in texts]
    idf = {word: 1 + np.log((len(ROWS) + 1) / (sum(word in words for words in kept) + 1)) for word in known}
    expected = [[words.count(word) / len(words) * idf[word] if words else 0 for word in known] for words in kept]
    np.testing.assert_allclose(got["weighed"][:, : len(known)], expected, rtol=1e-5)


TIMES = pd.DatetimeIndex(
    [
        pd.Timestamp(text)  # one by one, because pandas 2 parses a list with a single format
        for text in ("1969-12-31T23:59", "1970-01-01", "2000-02-29T12:30", "2023-12-31T00:01", "2100-03-01T06:07")
    ]
)


@pytest.mark.parametrize("written", [True, False])
@pytest.mark.parametrize("part", ["minute", "hour", "weekday", "day", "month"])
def test_parts_of_a_time_are_those_of_pandas(part: str, written: bool) -> None:
    features = features_of(t={"kind": "timestamp", "part": part})
    seconds = TIMES.to_numpy().astype("datetime64[s]").astype("int64")
    values = tf.constant(TIMES.strftime("%Y-%m-%dT%H:%M:%S") if written else seconds)
    got = transformed(features, {"t": values}, BeamAnalyzer())["t"].values.numpy()
    of_pandas = getattr(TIMES, part).to_numpy()
    np.testing.assert_array_equal(got, of_pandas - 1 if part in ("day", "month") else of_pandas)


@pytest.mark.slow
def test_a_part_of_a_time_goes_round(analyse) -> None:
    analysed = analyse(hour={"kind": "timestamp", "from": "n", "part": "hour"})
    hours = [0, 5, 23]
    given = columns([ROWS[0] | {"n": [3600 * hour]} for hour in hours] + [ROWS[0] | {"n": []}])
    got = analysed.layers()(analysed.graph(given))["hour"]
    turns = 2 * np.pi * np.array(hours) / 24
    np.testing.assert_allclose(got[:3], np.stack([np.sin(turns), np.cos(turns)], axis=1), atol=1e-6)
    np.testing.assert_array_equal(got[3], [0, 0])


@pytest.mark.slow
def test_it_is_the_same_in_tf_data_and_when_beam_writes_it(analyse) -> None:
    analysed = analyse(
        z={"kind": "numeric", "from": "x", "normalize": "z_score"},
        word={"kind": "categorical", "oov_buckets": 2},
        cross={"kind": "crossed", "of": ["words", "n"], "hash_buckets": 50},
    )
    eager = analysed.graph(columns(ROWS))
    (mapped,) = tf.data.Dataset.from_tensors(columns(ROWS)).map(analysed.graph)
    for name, values in eager.items():
        dense = [
            tf.sparse.to_dense(each, -1) if isinstance(each, tf.SparseTensor) else each
            for each in (values, mapped[name])
        ]
        np.testing.assert_array_equal(dense[0], dense[1])
    for row, written in enumerate(analysed.materialized):
        np.testing.assert_allclose(written["z"], eager["z"][row])
        ids = tf.sparse.slice(eager["cross"], [row, 0], [1, 10])
        np.testing.assert_array_equal(written["cross"], ids.values)
