"""Sequence layers, compared with tf.feature_column, Keras layers on single sequences, and NumPy."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from pydantic import ValidationError

from hubline.preprocessing.accumulators import accumulators
from hubline.preprocessing.analysis import AnalysisResults, Analyzer, BeamAnalyzer, FixedAnalyzer, RecordingAnalyzer
from hubline.preprocessing.config import Features
from hubline.preprocessing.sequence_layers import padded
from hubline.preprocessing.transform import transformed
from hubline.trainer.model import keras_inputs
from tests.support.features import FC, Analysed, columns, features_of

NAN = float("nan")
LISTS: list[dict[str, Any]] = [
    {"words": ["a", "b", "a"], "w": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]},
    {"words": ["b"], "w": [0.5, 1.5, -1.0]},
    {"words": [], "w": []},
    {"words": ["c", "a", "b", "b", "c"], "w": [float(number) for number in range(12)]},
]
COMBINERS: dict[str, dict[str, Any]] = {
    "lstm": {"lstm": 4},
    "lstm both ways": {"lstm": 4, "bidirectional": True},
    "gru": {"gru": 3},
    "gru both ways": {"gru": 3, "bidirectional": True},
    "attention": {"attention": 2, "units": 6},
}
SIZES = {"lstm": 4, "lstm both ways": 8, "gru": 3, "gru both ways": 6, "attention": 6}
EMBEDDED = {"kind": "categorical", "from": "words", "vocabulary": ["a", "b", "c"]}


def given_of(rows: Sequence[Mapping[str, Any]]) -> dict[str, tf.SparseTensor]:
    return columns(rows, ("words", "w"))


def model_of(features: Features, seed: int = 0) -> tf.keras.Model:
    """The layers of features without computed vocabularies, with weights far from 0."""
    tf.keras.utils.set_random_seed(seed)
    inputs = keras_inputs(features)
    model = tf.keras.Model(inputs, {name: feature.layer(name, None)(inputs) for name, feature in features.items()})
    rng = np.random.default_rng(seed)
    model.set_weights([rng.normal(0, 0.7, weight.shape) for weight in model.get_weights()])
    return model


def answered(features: Features, model: tf.keras.Model, rows: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """Outputs of the layers for each row, concatenated."""
    answers = model(transformed(features, given_of(rows), BeamAnalyzer()))
    return np.concatenate([answers[name] for name in features], axis=1)


def one_by_one(combiner: Mapping[str, Any], weights: Sequence[np.ndarray], lists: Sequence[np.ndarray]) -> np.ndarray:
    """Output of Keras' layers for each sequence alone, [steps, n], without padding or masks; zeros if empty."""
    if "attention" in combiner:
        return np.stack([attended(*weights, steps) for steps in lists])
    layer = tf.keras.layers.LSTM(combiner["lstm"]) if "lstm" in combiner else tf.keras.layers.GRU(combiner["gru"])
    if combiner.get("bidirectional"):
        layer = tf.keras.layers.Bidirectional(layer)
    layer.build(tf.TensorShape([None, None, lists[0].shape[1]]))
    layer.set_weights(weights)
    size = sum(recurrent.shape[0] for recurrent in weights[1::3])
    return np.stack([layer(steps[np.newaxis])[0] if len(steps) else np.zeros(size) for steps in lists])


def attended(positions, kernel, bias, query, query_bias, key, key_bias, value, value_bias, out, out_bias, steps):
    """Multi-head attention (Vaswani et al. 2017, section 3.2), added to its input; the mean over the steps."""
    if not len(steps):
        return np.zeros(len(bias))
    steps = steps @ kernel + bias + positions[: len(steps)]
    q, k, v = (
        np.einsum("sn,nhd->hsd", steps, matrix) + of_bias[:, np.newaxis]
        for matrix, of_bias in ((query, query_bias), (key, key_bias), (value, value_bias))
    )
    scores = np.einsum("hsd,htd->hst", q, k) / np.sqrt(q.shape[-1])
    scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
    heads = np.einsum("hst,htd->shd", scores / scores.sum(axis=-1, keepdims=True), v)
    return (steps + np.einsum("shd,hdn->sn", heads, out) + out_bias).mean(axis=0)


@pytest.mark.slow
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", COMBINERS)
def test_embedded_lists_are_those_of_feature_columns_combined_in_their_order(name: str, weighted: bool) -> None:
    described = EMBEDDED | {"encode": {"embedding": 5, "combiner": COMBINERS[name]}}
    features = features_of(x=described | ({"weights": "w"} if weighted else {}))
    model = model_of(features)
    table, *weights = model.get_weights()
    column = FC.sequence_categorical_column_with_vocabulary_list("words", ["a", "b", "c"])
    embedding = FC.embedding_column(column, 5, initializer=lambda shape, dtype, **_: table)
    steps, lengths = tf.keras.experimental.SequenceFeatures([embedding])({"words": given_of(LISTS)["words"]})
    assert lengths.numpy().tolist() == [3, 1, 0, 5]
    lists = [of_row[:length] for of_row, length in zip(steps.numpy(), lengths.numpy(), strict=True)]
    if weighted:
        factors = [np.float32(row["w"][: len(vectors)]) for row, vectors in zip(LISTS, lists, strict=True)]
        lists = [vectors * by[:, np.newaxis] for vectors, by in zip(lists, factors, strict=True)]
    got = answered(features, model, LISTS)
    assert got.shape == (4, SIZES[name])
    np.testing.assert_allclose(got, one_by_one(COMBINERS[name], weights, lists), rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(got[2], 0)


@pytest.mark.slow
@pytest.mark.parametrize("name", COMBINERS)
def test_numbers_in_order_are_those_of_feature_columns(name: str) -> None:
    features = features_of(x={"kind": "sequence", "from": "w", "width": 3, "missing": 0.0, "combiner": COMBINERS[name]})
    model = model_of(features)
    column = FC.sequence_numeric_column("w", shape=(3,))
    steps, lengths = tf.keras.experimental.SequenceFeatures([column])({"w": given_of(LISTS)["w"]})
    assert lengths.numpy().tolist() == [2, 1, 0, 4]
    got_steps, there = padded(transformed(features, given_of(LISTS), BeamAnalyzer())["x"], 3, 100)
    np.testing.assert_array_equal(got_steps, steps)
    np.testing.assert_array_equal(there, tf.sequence_mask(lengths))
    lists = [of_row[:length] for of_row, length in zip(steps.numpy(), lengths.numpy(), strict=True)]
    expected = one_by_one(COMBINERS[name], model.get_weights(), lists)
    np.testing.assert_allclose(answered(features, model, LISTS), expected, rtol=1e-4, atol=1e-5)


def both(combiner: Mapping[str, Any]) -> Features:
    """Categories and numbers."""
    return features_of(
        words=EMBEDDED | {"encode": {"embedding": 5, "combiner": combiner}},
        w={"kind": "sequence", "missing": 0.0, "combiner": combiner},
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", COMBINERS)
def test_the_order_counts_and_the_lists_around_do_not(name: str) -> None:
    features = both(COMBINERS[name])
    model = model_of(features)
    long = {"words": ["a", "b"] * 6, "w": [1.0, -1.0] * 8}
    alone = np.concatenate([answered(features, model, [row]) for row in LISTS])
    np.testing.assert_allclose(answered(features, model, [*LISTS, long])[:4], alone, rtol=1e-4, atol=1e-5)
    backwards = [{"words": row["words"][::-1], "w": row["w"][::-1]} for row in LISTS]
    turned = np.abs(answered(features, model, backwards) - alone).reshape(4, 2, SIZES[name]).max(axis=2)
    assert (turned[3] > 1e-3).all() and not turned[2].any()
    assert np.isfinite(alone).all() and not alone[2].any()
    for count in (0, 2):  # where all are empty
        of_none = answered(features, model, [LISTS[2]] * count)
        np.testing.assert_array_equal(of_none, np.zeros([count, 2 * SIZES[name]]))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gru", "attention"])
def test_what_is_behind_the_greatest_length_is_cut_off(name: str) -> None:
    features = both(COMBINERS[name] | {"max_length": 2})
    model = model_of(features)
    starts = [{"words": row["words"][:2], "w": row["w"][:2]} for row in LISTS]
    whole, cut = answered(features, model, LISTS), answered(features, model, starts)
    np.testing.assert_allclose(whole, cut, rtol=1e-5, atol=1e-6)
    shorter = [{"words": row["words"][:1], "w": row["w"][:1]} for row in LISTS]
    assert not np.allclose(whole[3], answered(features, model, shorter)[3])


@pytest.mark.slow
def test_what_is_not_known_is_no_step() -> None:
    features = both({"lstm": 4})
    model = model_of(features)
    strange = [{"words": ["a", "mauve", "", "b"], "w": []}]
    known = [{"words": ["a", "b"], "w": []}]
    np.testing.assert_allclose(answered(features, model, strange), answered(features, model, known), rtol=1e-5)


def known(features: Features, given: Mapping[str, Any]) -> Analyzer:
    """The analysis results as computed in a run."""
    recorder = RecordingAnalyzer()
    transformed(features, given, recorder)
    found = accumulators(recorder.questions)
    for name, values in recorder.values.items():
        found[name].add(values)
    moments = {name: found[name].answer() for name in recorder.questions if "median" not in name}
    quantiles = {name: found[name].answer(2) for name in recorder.questions if "median" in name}
    return FixedAnalyzer(AnalysisResults(moments=moments, quantiles=quantiles, vocabularies={}))


HOLED = [
    [1.0, 10.0, NAN, 4.0, 2.0, 7.0],
    [NAN, NAN, NAN, 5.0],  # the first step missing entirely, the second by a third
    [],
    [NAN, float("inf")],  # not finite
    [3.0, NAN, 9.0, NAN, NAN, 1.0, NAN, NAN, NAN],  # nothing after the second step
    [6.0, 5.0],
]
# By step, with NaN for missing values.
STEPS = [
    [[1, 10, NAN], [4, 2, 7]],
    [[NAN, NAN, NAN], [5, NAN, NAN]],
    [],
    [],
    [[3, NAN, 9], [NAN, NAN, 1]],
    [[6, 5, NAN]],
]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("normalize", "missing", "in_beam"),
    [
        ("z_score", "mean", True),  # Beam is slow
        ("z_score", "mean", False),
        ("min_max", "median", False),
        ("log1p", 0.5, False),
        ("none", "mean", False),
        ({"mean": 3, "scale": 2}, -1.0, False),
    ],
)
def test_positions_of_steps_are_filled_and_normalised_like_numpy(
    normalize: str | dict, missing: str | float, in_beam: bool, tmp_path: Path
) -> None:
    described = {"kind": "sequence", "from": "w", "width": 3, "combiner": {"gru": 2}}
    features = features_of(x=described | {"normalize": normalize, "missing": missing})
    rows = [{"w": values, "words": []} for values in HOLED]
    if in_beam:
        of_beam = Analysed(features, [row | {"x": [], "n": [], "word": [], "text": []} for row in rows], tmp_path)
        got = of_beam.graph(columns(rows, ("w",)))["x"]
    else:
        given = given_of(rows)
        got = transformed(features, given, known(features, given))["x"]
    every = np.array([step for steps in STEPS for step in steps])
    filling = {"mean": np.nanmean, "median": np.nanmedian}.get(missing, lambda values, axis: missing)(every, axis=0)

    def expected(steps: np.ndarray) -> np.ndarray:
        filled = np.where(np.isnan(steps), filling, steps)
        match normalize:
            case "z_score":
                return (filled - np.nanmean(every, axis=0)) / np.nanstd(every, axis=0)
            case "min_max":
                least, greatest = np.nanmin(every, axis=0), np.nanmax(every, axis=0)
                return (filled - least) / (greatest - least)
            case "log1p":
                logarithms = np.log1p(every)
                return (np.log1p(filled) - np.nanmean(logarithms, axis=0)) / np.nanstd(logarithms, axis=0)
            case "none":
                return filled
        return (filled - 3) / 2

    lists = tf.RaggedTensor.from_sparse(got)
    assert lists.row_lengths().numpy().tolist() == [3 * len(steps) for steps in STEPS]
    for of_row, steps in zip(lists, STEPS, strict=True):
        np.testing.assert_allclose(of_row, expected(np.array(steps).reshape(-1, 3)).reshape(-1), rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_words_of_a_text_are_read_in_their_order(tmp_path: Path) -> None:
    rows = [{"x": [], "n": [], "word": [], "words": [], "w": [], "text": [text]} for text in ("not so good", "so not")]
    text = {"kind": "text", "bag": {}, "encode": {"embedding": 4, "combiner": {"gru": 3}}}
    analysed = Analysed(features_of(text=text), rows, tmp_path)
    model = analysed.layers()
    asked = [rows[0] | {"text": [text]} for text in ("not so good", "so not good", "SO  not good")]
    got = model(analysed.graph(columns(asked)))["text"].numpy()
    assert not np.allclose(got[0], got[1]) and np.allclose(got[1], got[2])


@pytest.mark.parametrize(
    ("features", "says"),
    [
        (
            {"t": {"kind": "text", "bag": {"tf_idf": True}, "encode": {"embedding": 4, "combiner": {"gru": 3}}}},
            "tf_idf has no order, but the combiner needs one",
        ),
        (
            {
                "w": {"kind": "sequence", "combiner": {"gru": 3}},
                "c": {"kind": "crossed", "of": ["w", "n"], "hash_buckets": 9},
            },
            "'c' crosses the number 'w'",
        ),
        (
            {"w": {"kind": "sequence", "from": "r", "combiner": {"gru": 3}}, "c": {"kind": "categorical", "from": "w"}},
            "'c' is made from the feature 'w', which has no categories",
        ),
        ({"w": {"kind": "sequence"}}, "Field required"),
        ({"w": {"kind": "sequence", "combiner": "mean"}}, "Input should be"),
    ],
)
def test_what_cannot_be_read_in_order_is_refused(features: dict, says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        features_of(**features)
