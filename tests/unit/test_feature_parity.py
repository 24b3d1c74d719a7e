"""Every kind of feature gives the same values in four ways, equal to an independent computation on the same rows.

Eagerly; in `tf.data`, on serialized records; as Transform writes it; and in the exported SavedModel.
"""

import itertools
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
import tensorflow_transform as tft
import tensorflow_transform.beam as tft_beam
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter
from tensorflow_transform.tf_metadata import dataset_metadata, schema_utils

from hubline.components.transform.config import TransformConfig
from hubline.components.transform.shard import Analysis, Shard, answers
from hubline.preprocessing.analysis import FixedAnalyzer
from hubline.preprocessing.columns import parsing_spec
from hubline.preprocessing.config import Features
from hubline.preprocessing.feature_columns import input_columns
from hubline.preprocessing.transform import preprocessing_fn, transformed
from hubline.trainer.export import ServingModel
from hubline.trainer.export_format import SERVING
from hubline.trainer.inputs import Tensors
from hubline.trainer.model import Parts, TunedModel, keras_inputs, model_inputs
from hubline.trainer.task import Task
from tests.support import example_data
from tests.support.stages import keep

FC = tf.feature_column
DTYPES = {"x": tf.float32, "v": tf.float32, "n": tf.int64, "word": tf.string, "words": tf.string, "w": tf.float32}
DTYPES |= {"text": tf.string, "time": tf.int64, "constant": tf.float32}
SCHEMA = schema_utils.schema_from_feature_spec(
    {name: tf.io.VarLenFeature(dtype) for name, dtype in (DTYPES | {"y": tf.int64}).items()}
)
Row = Mapping[str, Any]
WORDS = ["red", "green", "blue", "é", "two words", "never seen"]


def training_rows(count: int) -> list[Row]:
    """Rows without unseen values; an even number of them, so that the median is between two."""
    rng = np.random.default_rng(7)

    def some(values: Sequence[Any], least: int, most: int) -> list[Any]:
        return [values[place] for place in rng.integers(len(values), size=rng.integers(least, most + 1))]

    rows = []
    for _ in range(count):
        words = some(WORDS[:-1], 0, 4)
        rows.append(
            {
                "x": [float(rng.normal(3, 2))] * int(rng.random() > 0.1),
                "v": [float(number) for number in rng.normal([0, 10, -5], [1, 5, 0.1])],
                "n": [int(rng.integers(0, 24))] * int(rng.random() > 0.1),
                "word": some(WORDS[:3], 0, 1),
                "words": words,
                "w": [float(rng.uniform(0.1, 2)) for _ in words],
                "text": [" ".join(some(["a", "cat", "Sat", "on", "mats"], 1, 6))],
                "time": [int(rng.integers(0, 2_000_000_000))],
                "constant": [5.5],
            }
        )
    return rows


TRAINING = training_rows(301)


@st.composite
def new_rows(draw: st.DrawFn) -> list[Row]:
    """Rows that may contain unseen values, lack columns that were always present, and contain non-finite numbers."""
    numbers = st.floats(-1e4, 1e4, width=32) | st.just(math.nan) | st.just(math.inf)

    def row() -> Row:
        words = draw(st.lists(st.sampled_from(WORDS), max_size=4))
        return {
            "x": draw(st.lists(numbers, max_size=1)),
            "v": draw(st.lists(st.floats(-100, 100, width=32), min_size=3, max_size=3) | st.just([])),
            "n": draw(st.lists(st.integers(0, 40), max_size=1)),
            "word": draw(st.lists(st.sampled_from([*WORDS, ""]), max_size=1)),
            "words": words,
            "w": [draw(st.floats(0.125, 2, width=32)) for _ in words],
            "text": [draw(st.text(" aAcatsonmé", max_size=20))],
            "time": draw(st.lists(st.integers(-(10**9), 4 * 10**9), max_size=1)),
            "constant": draw(st.lists(numbers, max_size=1)),
        }

    return [row() for _ in range(draw(st.integers(1, 8)))]


def record(row: Row, **more: int) -> bytes:
    """The row as a record, without empty columns."""
    return example_data.record(
        **{name: example_data.feature(*values) for name, values in row.items() if values}, **more
    )


def columns(rows: Sequence[Row]) -> dict[str, tf.SparseTensor]:
    """The values of each column in the format of feature columns."""
    ragged = {name: [[v for v in row[name] if _is_there(v)] for row in rows] for name in DTYPES}
    return {name: tf.ragged.constant(ragged[name], DTYPES[name], ragged_rank=1).to_sparse() for name in DTYPES}


def _is_there(value: Any) -> bool:
    return value != "" and not (isinstance(value, float) and not math.isfinite(value))


def first(rows: Sequence[Row], name: str) -> np.ndarray:
    """The first number of each row, NaN if missing."""
    there = [[value for value in row[name] if _is_there(value)] for row in rows]
    return np.array([values[0] if values else np.nan for values in there], np.float64)


def indicator(column: Any) -> Callable[[Sequence[Row]], np.ndarray]:
    return lambda rows: tf.keras.layers.DenseFeatures([FC.indicator_column(column)])(columns(rows)).numpy()


def numeric(
    fill: Callable[[np.ndarray], float],
    change: Callable[[np.ndarray, np.ndarray], np.ndarray],
    column: str = "x",
) -> Callable:
    """Fills missing values with a statistic of the training rows, and applies a function."""

    def expected(rows: Sequence[Row]) -> np.ndarray:
        known = first(TRAINING, column)
        known = known[np.isfinite(known)]
        numbers = first(rows, column)
        return change(np.where(np.isfinite(numbers), numbers, fill(known)), known)[:, np.newaxis]

    return expected


def standard_log(numbers: np.ndarray, known: np.ndarray) -> np.ndarray:
    """z-scores of logarithms; -1 and below count as slightly more than -1, and a deviation of 0 as 1."""
    given, learned = (np.log1p(np.maximum(each, -1 + 1e-6)) for each in (numbers, known))
    return (given - learned.mean()) / (learned.std() if np.ptp(learned) else 1.0)


def filled_vector(rows: Sequence[Row]) -> np.ndarray:
    known = np.array([row["v"] for row in TRAINING])
    numbers = np.array([row["v"] or [np.nan] * 3 for row in rows])
    missing = np.isnan(numbers)
    z = (np.where(missing, known.mean(axis=0), numbers) - known.mean(axis=0)) / known.std(axis=0)
    return np.concatenate([z, missing], axis=1)


def by_frequency(words: Sequence[str]) -> list[str]:
    counts = Counter(words)
    return sorted(counts, key=lambda word: (counts[word], word.encode()), reverse=True)


def computed(rows: Sequence[Row]) -> np.ndarray:
    """Whether each of the three most frequent words is present."""
    known = by_frequency([word for row in TRAINING for word in row["words"]])[:3]
    return np.array([[float(word in row["words"]) for word in known] for row in rows])


def quantile_buckets(rows: Sequence[Row]) -> np.ndarray:
    known = first(TRAINING, "x")
    boundaries = np.quantile(known[np.isfinite(known)], np.arange(1, 5) / 5, method="inverted_cdf")
    buckets = pd.cut(first(rows, "x"), [-np.inf, *boundaries, np.inf], right=False, labels=False)
    return pd.get_dummies(pd.Categorical(buckets, categories=range(5))).to_numpy(float)


def grams(row: Row) -> list[str]:
    words = row["text"][0].lower().split(" ")
    words = [word for word in words if word]
    return [*words, *map(" ".join, itertools.pairwise(words))]


def bag(rows: Sequence[Row]) -> np.ndarray:
    known = by_frequency([gram for row in TRAINING for gram in grams(row)])[:20]
    return np.array([[grams(row).count(gram) for gram in known] for row in rows], float)


def tf_idf(rows: Sequence[Row]) -> np.ndarray:
    """scikit-learn's smooth inverse document frequency, times the share of the text's known words."""
    words = [row["text"][0].lower().split() for row in TRAINING]
    known = by_frequency([word for text in words for word in text])[:4]
    having = np.array([sum(word in text for text in words) for word in known])
    counts = np.array([[row["text"][0].lower().split().count(word) for word in known] for row in rows], float)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    return shares * (1 + np.log((1 + len(words)) / (1 + having)))


def round_the_year(rows: Sequence[Row]) -> np.ndarray:
    times = first(rows, "time")
    months = pd.Series(pd.to_datetime(times, unit="s", errors="coerce")).dt.month.to_numpy() - 1
    turns = 2 * np.pi * months / 12
    return np.nan_to_num(np.stack([np.sin(turns), np.cos(turns)], axis=1))


@dataclass(frozen=True)
class Case:
    described: Mapping[str, Any]
    expected: Callable[[Sequence[Row]], np.ndarray]
    """Maps rows to float [batch, n]."""


COLOURS = FC.categorical_column_with_vocabulary_list("word", WORDS[:3], num_oov_buckets=4)
BUCKETS = FC.bucketized_column(FC.numeric_column("x"), [0.0, 3.0, 5.5])
CASES = {
    "z": Case(
        {"kind": "numeric", "from": "x", "normalize": "z_score"},
        numeric(np.mean, lambda numbers, known: (numbers - known.mean()) / known.std()),
    ),
    "between": Case(
        {"kind": "numeric", "from": "x", "normalize": "min_max", "missing": "median"},
        numeric(np.median, lambda numbers, known: (numbers - known.min()) / np.ptp(known)),
    ),
    "logarithm": Case(
        {"kind": "numeric", "from": "x", "normalize": "log1p", "missing": "median"}, numeric(np.median, standard_log)
    ),
    "logarithm_of_integers": Case(
        {"kind": "numeric", "from": "n", "normalize": "log1p", "missing": 0.0},
        numeric(lambda known: 0.0, standard_log, "n"),
    ),
    "logarithm_of_a_constant": Case(
        {"kind": "numeric", "from": "constant", "normalize": "log1p"},
        numeric(np.mean, standard_log, "constant"),
    ),
    "scaled": Case(
        {"kind": "numeric", "from": "x", "normalize": {"mean": 2.0, "scale": 4.0}, "missing": -1.0},
        numeric(lambda known: -1.0, lambda numbers, known: (numbers - 2.0) / 4.0),
    ),
    "vector": Case(
        {"kind": "numeric", "from": "v", "length": 3, "normalize": "z_score", "missing_indicator": True}, filled_vector
    ),
    "quantiles": Case({"kind": "bucketized", "from": "x", "buckets": 5}, quantile_buckets),
    "colour": Case(
        {"kind": "categorical", "from": "word", "vocabulary": WORDS[:3], "oov_buckets": 4}, indicator(COLOURS)
    ),
    "colours": Case(
        {"kind": "categorical", "from": "words", "vocabulary": WORDS[:3], "default": "blue"},
        indicator(FC.categorical_column_with_vocabulary_list("words", WORDS[:3], default_value=2)),
    ),
    "found": Case(
        {"kind": "categorical", "from": "words", "vocabulary": {"top_k": 3}, "encode": "multi_hot"}, computed
    ),
    "hashed": Case(
        {"kind": "categorical", "from": "words", "hash_buckets": 11},
        indicator(FC.categorical_column_with_hash_bucket("words", 11)),
    ),
    "hour": Case(
        {"kind": "categorical", "from": "n", "identity": 24, "default": 0},
        indicator(FC.categorical_column_with_identity("n", 24, default_value=0)),
    ),
    "weighed": Case(
        {"kind": "categorical", "from": "words", "hash_buckets": 11, "weights": "w"},
        indicator(FC.weighted_categorical_column(FC.categorical_column_with_hash_bucket("words", 11), "w")),
    ),
    "cross": Case(
        {"kind": "crossed", "of": ["words", "n", "word"], "hash_buckets": 101},
        indicator(FC.crossed_column(["words", "n", "word"], 101)),
    ),
    "month": Case({"kind": "timestamp", "from": "time", "part": "month"}, round_the_year),
    "bag": Case(
        {"kind": "text", "from": "text", "bag": {"ngrams": [1, 2], "vocabulary": {"top_k": 20}}, "encode": "one_hot"},
        bag,
    ),
    "telling": Case(
        {
            "kind": "text",
            "from": "text",
            "bag": {"vocabulary": {"top_k": 4}, "tf_idf": True},
            "encode": "one_hot",
        },
        tf_idf,
    ),
}


def features_of(described: Mapping[str, Any]) -> Features:
    return TypeAdapter(Features).validate_python(described)


class AsItIs(Task):
    """Returns the outputs of each feature's layers, concatenated."""

    def loss(self) -> tf.keras.losses.Loss:
        raise NotImplementedError

    def comparable(self, target: tf.Tensor, outputs: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        raise NotImplementedError

    def answer(self, outputs: tf.Tensor) -> Tensors:
        return {"given": outputs}


class FourWays:
    """All features, with a run's analysis of the training rows."""

    def __init__(self, features: Features, folder: Path) -> None:
        self.features = features
        self.records = [record(row, y=0) for row in TRAINING]
        label = {"kind": "class", "from": "y", "classes": ["no", "yes"]}
        config = TransformConfig.model_validate({"features": features, "label": label})
        path = example_data.write_tfrecord(folder / "training", self.records)
        shard, store = Shard(str(path), len(self.records), "key"), str(folder / "store")
        analysis = Analysis(config.to_property(), SCHEMA.SerializeToString())
        keep(analysis, shard, store)
        self.answers = answers(analysis.questions, [shard], store, str(folder / "vocabularies"))
        self.metadata = dataset_metadata.DatasetMetadata(SCHEMA)
        known = FixedAnalyzer(self.answers)
        with tft_beam.Context(temp_dir=str(folder / "tmp")):
            self.transform_fn = ([{**row, "y": [0]} for row in TRAINING], self.metadata) | tft_beam.AnalyzeDataset(
                lambda inputs: preprocessing_fn(inputs, features, config.label, known)
            )
            self.transform_fn | tft_beam.WriteTransformFn(str(folder / "transform"))
        self.folder = folder
        output = tft.TFTransformOutput(str(folder / "transform"))
        self.graph = output.transform_features_layer()
        inputs = keras_inputs(model_inputs(features))
        given = {name: feature.layer(name, output)(inputs) for name, feature in features.items()}
        joined = tf.keras.layers.Concatenate()(list(given.values()))
        self.ends = np.cumsum([layer.shape[1] for layer in given.values()])[:-1]
        self.model = TunedModel(inputs, joined)
        self.spec = parsing_spec(SCHEMA, input_columns(features))
        self.parse = tf.function(
            lambda batch: self.graph(tf.io.parse_example(batch, self.spec)), [tf.TensorSpec([None], tf.string)]
        )
        serving = ServingModel(Parts({}, self.model, self.model), self.graph, self.spec, [], features, AsItIs())
        serving.save(str(folder / "export"))
        self.served = tf.saved_model.load(str(folder / "export")).signatures[SERVING]

    def given(self, transformed: Mapping[str, Any]) -> np.ndarray:
        return self.model({name: transformed[name] for name in self.model.input}).numpy()

    def eagerly(self, rows: Sequence[Row]) -> np.ndarray:
        found = self.given(transformed(self.features, columns(rows), FixedAnalyzer(self.answers)))
        tf.compat.v1.reset_default_graph()  # where TF Transform records the tables it creates, even eagerly
        return found

    def in_a_dataset(self, rows: Sequence[Row]) -> np.ndarray:
        records = tf.data.Dataset.from_tensor_slices([record(row) for row in rows]).batch(3)
        return np.concatenate([self.given(batch) for batch in records.map(self.parse)])

    def through_transform(self, rows: Sequence[Row]) -> np.ndarray:
        with tft_beam.Context(temp_dir=str(self.folder / "tmp")):
            raw = [{**row, "y": [0]} for row in rows], self.metadata
            written, _ = (raw, self.transform_fn) | tft_beam.TransformDataset()
        batch = {}
        for name, spec in keras_inputs(model_inputs(self.features)).items():
            values = [row[name] for row in written]
            is_sparse = isinstance(spec.type_spec, tf.SparseTensorSpec)
            batch[name] = tf.ragged.constant(values, spec.dtype, 1).to_sparse() if is_sparse else tf.constant(values)
        return self.given(batch)

    def as_exported(self, rows: Sequence[Row]) -> np.ndarray:
        return self.served(examples=tf.constant([record(row) for row in rows]))["given"].numpy()

    def check(self, way: Callable[[Sequence[Row]], np.ndarray], rows: Sequence[Row]) -> None:
        got = dict(zip(self.features, np.split(way(rows), self.ends, axis=1), strict=True))
        for name, case in CASES.items():
            np.testing.assert_allclose(got[name], case.expected(rows), rtol=2e-5, atol=2e-5, err_msg=name)


@pytest.fixture(scope="module")
def ways(tmp_path_factory: pytest.TempPathFactory) -> FourWays:
    features = features_of({name: case.described for name, case in CASES.items()})
    return FourWays(features, tmp_path_factory.mktemp("four-ways"))


@pytest.mark.parametrize("way", ["eagerly", "in_a_dataset", "through_transform", "as_exported"])
@pytest.mark.slow
def test_rows_of_training_are_what_the_reference_says(way: str, ways: FourWays) -> None:
    ways.check(getattr(ways, way), TRAINING)


@pytest.mark.parametrize(("way", "times"), [("eagerly", 10), ("in_a_dataset", 3), ("as_exported", 30)])
@pytest.mark.slow
def test_rows_never_seen_are_what_the_reference_says(way: str, times: int, ways: FourWays) -> None:
    slow = [HealthCheck.too_slow, HealthCheck.data_too_large]
    phases = [Phase.explicit, Phase.generate, Phase.shrink]

    @settings(max_examples=times, deadline=None, suppress_health_check=slow, phases=phases, derandomize=True)
    @given(new_rows())
    def check(rows: list[Row]) -> None:
        ways.check(getattr(ways, way), rows)

    check()


@pytest.mark.parametrize(
    ("name", "column"),
    {
        "colour": COLOURS,
        "colours": FC.categorical_column_with_vocabulary_list("words", WORDS[:3]),
        "hashed": FC.categorical_column_with_hash_bucket("words", 11),
        "hour": FC.categorical_column_with_identity("n", 24),
        "weighed": FC.weighted_categorical_column(FC.categorical_column_with_hash_bucket("words", 11), "w"),
        "cross": FC.crossed_column(["words", "n", "word"], 101),
        "vector": FC.numeric_column("v", (3,)),
        "z": FC.numeric_column("x"),
    }.items(),
)
def test_records_are_parsed_as_feature_columns_have_them_parsed(name: str, column: Any) -> None:
    features = features_of({name: CASES[name].described})
    ours = parsing_spec(SCHEMA, input_columns(features))
    theirs = {key: _of_dtype(spec, DTYPES[key]) for key, spec in FC.make_parse_example_spec([_one_hot(column)]).items()}
    rows = [row for row in TRAINING if row["x"]]
    parsed, expected = (tf.io.parse_example([record(row) for row in rows], spec) for spec in (ours, theirs))
    assert parsed.keys() == expected.keys()
    for key, values in expected.items():
        if isinstance(values, tf.SparseTensor):
            assert ours[key] == theirs[key]
        assert parsed[key].dtype == values.dtype
        there = tf.sparse.to_dense(parsed[key])  # distinguishes missing numbers from zeros
        np.testing.assert_array_equal(there, tf.sparse.to_dense(values) if key not in "xv" else values)


def _one_hot(column: Any) -> Any:
    return column if isinstance(column, type(FC.numeric_column("x"))) else FC.indicator_column(column)


def _of_dtype(spec: Any, dtype: tf.DType) -> Any:
    """Crosses treat every column as words, and buckets of numbers by their source."""
    return tf.io.VarLenFeature(dtype) if isinstance(spec, tf.io.VarLenFeature) else spec
