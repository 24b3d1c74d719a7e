"""Comparisons of columns, and the kinds of label, compared with Python and NumPy."""

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from sklearn.metrics import f1_score

from hubline.components.example_gen.label_contracts import contract_of
from hubline.components.example_gen.record_checks import find_fault
from hubline.core.errors import DataError
from hubline.preprocessing.columns import present
from hubline.preprocessing.config import Label
from hubline.preprocessing.expression import columns_in, evaluate
from hubline.preprocessing.kinds.kind import TransformContext
from hubline.preprocessing.labels.label import LABEL
from hubline.trainer.labels.multilabel import Multilabel
from hubline.trainer.labels.parts import task_of
from hubline.trainer.metrics.in_training import metrics_of
from tests.support import example_data

VALUES = {
    "tips": np.array([0.0, 2.5, 9.0, 3.0]),
    "fare": np.array([10.0, 12.5, 0.0, 15.0]),
    "n": np.array([1, -2, 3, 0]),
}


@pytest.mark.parametrize(
    "comparison",
    [
        "tips > 0.2 * fare",
        "tips >= 0.2 * fare",
        "0.2*fare<tips",
        "tips <= fare - 10",
        " tips == 9 ",
        "tips != fare / 4 - 0.625",
        "-(tips + fare) * 2 < -n - 20",
        "tips - fare - n > -12",  # from the left
        "1 - (tips - fare) / 2 > n",
        "1e1 < fare",
    ],
)
def test_a_comparison_is_what_python_makes_of_it(comparison: str) -> None:
    expected = eval(comparison.strip(), {}, dict(VALUES))
    np.testing.assert_array_equal(evaluate(comparison, VALUES.__getitem__), expected)
    tensors = {name: tf.constant(values, tf.float64) for name, values in VALUES.items()}
    np.testing.assert_array_equal(evaluate(comparison, tensors.__getitem__), expected)


numbers = st.integers(0, 99).map(str) | st.floats(0.015625, 1e6, width=32).map(repr) | st.sampled_from(list(VALUES))
sums = st.recursive(
    numbers,
    lambda inner: (
        st.builds("{} {} {}".format, inner, st.sampled_from("+-*"), inner)
        | inner.map("({})".format)
        | inner.map("-{}".format)
    ),
    max_leaves=8,
)


@given(sums, st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), sums)
@settings(deadline=None)
def test_any_comparison_is_what_python_makes_of_it(left: str, comparator: str, right: str) -> None:
    comparison = f"{left} {comparator} {right}"
    as_floats = {name: values.astype(float) for name, values in VALUES.items()}
    floats = {name: float(values[1]) for name, values in as_floats.items()}
    assert evaluate(comparison, floats.__getitem__) == eval(comparison, {}, dict(floats))
    named = {name for name in VALUES if name in comparison}
    if named:
        assert set(columns_in(comparison)) == named
    else:
        with pytest.raises(ValueError, match="names no column"):
            columns_in(comparison)


def test_columns_are_named_in_their_order_and_once() -> None:
    assert columns_in("b > 2 * a + b - (c)") == ["b", "a", "c"]


@pytest.mark.parametrize(
    ("comparison", "named"),
    [
        ('"fare amount" > 3', ["fare amount"]),
        ('"trip-miles" < "class" + tips', ["trip-miles", "class", "tips"]),
        ('"größe (cm)" >= größe', ["größe (cm)", "größe"]),
        (r'"a \"quoted\" name" > 1', ['a "quoted" name']),
        ("ﬁne > 1", ["ﬁne"]),  # which Python itself would normalize to fine
        ("(tips\n > 1)", ["tips"]),
    ],
)
def test_a_column_with_any_name_can_be_compared(comparison: str, named: list[str]) -> None:
    assert columns_in(comparison) == named
    assert evaluate(comparison, dict.fromkeys(named, 5).__getitem__) is True


@pytest.mark.parametrize(
    ("comparison", "says"),
    [
        ("", "'' is not a comparison such as tips > 0.2 * fare"),
        ("tips > ", "'tips >' is not a comparison such as tips > 0.2 * fare (at character 7, its end)"),
        ("tips > fare; n", "is not a comparison such as"),
        ("tips", "'tips' is not one comparison, such as"),
        ("tips + fare", "is not one comparison"),
        ("1 < tips < 2", "is not one comparison"),
        ("tips > 1 and fare > 2", "is not one comparison"),
        ("tips = 2", "is not a comparison such as"),
        ("tips in fare", "<, <=, >, >=, == or != for comparison"),
        ("tips is fare", "<, <=, >, >=, == or != for comparison"),
        ("tips ** 2 > 1", "use + - * / for arithmetic"),
        ("tips % 2 > 1", "use + - * / for arithmetic"),
        ("tips > 'x'", "compares a string, but only numbers can be compared (at character 8, before ''x'')"),
        ("tips > 2 fare", "fare')"),
        ("total fare > 2", 'such as "fare amount" or "class"'),
        ("class > 2", "(at character 1, before 'class > 2')"),
        ("`total fare` > 2", 'in double quotes, such as "fare amount"'),
        ('"" > 2', "is not a number, a column, or a sum"),
        ("é > 3 + 'x'", "(at character 9, before ''x'')"),
        ("tips > True", "'True' is not a number, a column, or a sum"),
        ("abs(tips) > 1", "'abs(tips)' is not a number"),
        ("tips.real > 1", "'tips.real' is not a number"),
        ("tips[0] > 1", "'tips[0]' is not a number"),
        ("+tips > 1", "'+tips' is not a number"),
        ("not tips > 1", "is not one comparison"),
        ("1 < 2", "'1 < 2' names no column"),
        ("tips / 0 > 1", "'tips / 0 > 1' divides by zero"),
        ("tips / (2 - 2) > 1", "divides by zero"),
        ("tips > \0", "is not a comparison such as"),
        ("(" * 300 + "tips" + ")" * 300 + " > 1", "is not a comparison such as"),
        ("tips > 0" + " + 1" * 5000, "the comparison is too long"),
        ("tips > " + "-" * 5000 + "1", "the comparison is too long"),
        ("tips > 1" + "0" * 400, "contains a number that is too large"),
    ],
)
def test_what_is_not_a_comparison_says_why(comparison: str, says: str) -> None:
    with pytest.raises(ValueError) as caught:
        columns_in(comparison)
    assert says in str(caught.value)


@pytest.mark.parametrize("comparison", ["tips / (fare - 1) > 0", "tips / (fare - n) > 0", "1 / (tips - 1) > 0"])
def test_a_divisor_that_columns_make_is_not_zero_beforehand(comparison: str) -> None:
    assert "tips" in columns_in(comparison)


@given(st.text(max_size=30) | st.text("tips fare n<>=+-*/()0.1", max_size=30))
def test_any_text_is_a_comparison_or_a_mistake(text: str) -> None:
    try:
        assert columns_in(text)
    except ValueError as error:
        assert str(error)


def label_of(**described: Any) -> Any:
    return TypeAdapter(Label).validate_python(described)


def reading(columns: Mapping[str, tf.Tensor | tf.SparseTensor]) -> TransformContext:
    return lambda column: present(columns[column])


def as_column(values: Sequence) -> tf.Tensor:
    return tf.constant(values)


def as_optional(values: Sequence) -> tf.SparseTensor:
    return tf.RaggedTensor.from_tensor(tf.constant(values)[:, tf.newaxis]).to_sparse()


@pytest.mark.parametrize("form", [as_column, as_optional])
@pytest.mark.parametrize(
    ("values", "above", "expected"),
    [
        ([0, 1, 1, 0], {}, [0, 1, 1, 0]),
        ([0.0, 0.5, 0.51, -3.0], {}, [0, 0, 1, 0]),  # at the threshold is not above it
        ([9, 10, 11, -5], {"above": 10}, [0, 0, 1, 0]),
        ([-2.0, -1.0, 0.0, 2.0], {"above": -1.5}, [0, 1, 1, 1]),
        ([-2.0, -1.0, 0.0, 2.0], {"above": 0}, [0, 0, 0, 1]),
    ],
)
def test_a_number_above_the_cut_is_of_the_second_class(
    form: Callable, values: list, above: dict, expected: list[int]
) -> None:
    label = label_of(kind="binary", **{"from": "x"}, **above)
    read = reading({"x": form(values)})
    assert label.columns == ("x",) and label.are_known
    assert label.index(read).numpy().tolist() == expected
    assert label.index(read).dtype == tf.int64
    assert label.names(read).numpy().tolist() == [[b"no", b"yes"][index] for index in expected]


@pytest.mark.parametrize("form", [as_column, as_optional])
def test_the_second_of_two_names_is_the_positive_class(form: Callable) -> None:
    label = label_of(kind="binary", classes=["ham", "spam"], **{"from": "x"})
    read = reading({"x": form([b"spam", b"ham", b"spam"])})
    assert label.index(read).numpy().tolist() == [1, 0, 1] and label.index(read).dtype == tf.int64
    assert label.names(read).numpy().tolist() == [b"spam", b"ham", b"spam"]


@pytest.mark.parametrize("form", [as_column, as_optional])
def test_a_comparison_tells_the_classes_apart(form: Callable) -> None:
    label = label_of(kind="binary", where="tips > 0.2 * fare + n", classes=["mean", "generous"])
    columns = {"tips": [0.0, 4.5, 9.0], "fare": [10.0, 12.5, 0.0], "n": [1, 2, 9]}
    read = reading({name: form(values) for name, values in columns.items()})
    assert label.columns == ("tips", "fare", "n")
    assert label.index(read).numpy().tolist() == [0, 0, 0]
    assert label_of(kind="binary", where="tips >= 0.2 * fare + n").index(read).numpy().tolist() == [0, 1, 1]
    assert label.names(read).numpy().tolist() == [b"mean"] * 3
    assert label.class_names(None) == ["mean", "generous"]


@pytest.mark.parametrize(
    "described",
    [
        {"kind": "binary", "from": "x"},
        {"kind": "binary", "from": "x", "above": 3, "classes": ["a", "b"]},
        {"kind": "binary", "where": "a > 2 * b"},
        {"kind": "class", "from": "x"},
        {"kind": "class", "from": "x", "classes": ["a", "b"]},
        {"kind": "multilabel", "from": "x"},
        {"kind": "multilabel", "columns": ["x", "y"], "classes": ["a", "b"], "threshold": 0.3},
    ],
)
def test_a_label_comes_back_from_a_step_property(described: dict) -> None:
    label = label_of(**described)
    assert TypeAdapter(Label).validate_json(label.to_property()) == label


NAMES = ["sea", "sky", "sand"]


def ragged(rows: Sequence[Sequence], dtype: tf.DType) -> tf.SparseTensor:
    return tf.RaggedTensor.from_row_lengths(
        tf.constant([value for row in rows for value in row], dtype), [len(row) for row in rows]
    ).to_sparse()


def multi_hot(rows: Sequence[Sequence[int]], classes: int = 3) -> np.ndarray:
    return np.array([[float(index in row) for index in range(classes)] for row in rows], np.float32)


def told_by(described: dict, columns: Mapping[str, tf.Tensor | tf.SparseTensor]) -> tuple[np.ndarray, list[list[str]]]:
    """The target of each record, and its class names in the order of the record."""
    label, read = label_of(kind="multilabel", **described), reading(columns)
    positions = label.transform(read)[LABEL]
    assert positions.dtype == tf.int64
    task = task_of(label, None, {})  # type: ignore[arg-type]
    assert label.class_names(None) == [name.decode() for name in task.answer(tf.zeros([1, 3]))["classes"][0].numpy()]
    said = label.names(read)
    names = tf.RaggedTensor.from_value_rowids(said.values, said.indices[:, 0], said.dense_shape[0]).to_list()
    return task.target(positions).numpy(), [[name.decode() for name in row] for row in names]


indices = st.lists(st.lists(st.integers(0, 2), max_size=5), min_size=1, max_size=6)


@pytest.mark.slow
@given(indices)
@settings(deadline=None, max_examples=30)
def test_any_number_of_classes_by_name_by_position_or_by_columns_are_the_same(rows: list[list[int]]) -> None:
    expected, names = multi_hot(rows), [[NAMES[index] for index in row] for row in rows]
    for column in (ragged(names, tf.string), ragged(rows, tf.int64)):
        learned, found = told_by({"from": "tags", "classes": NAMES}, {"tags": column})
        np.testing.assert_array_equal(learned, expected)
        assert learned.dtype == np.float32 and found == names
    for form in (as_column, as_optional):
        columns = {name: form(expected[:, index].tolist()) for index, name in enumerate(NAMES)}
        learned, found = told_by({"columns": NAMES}, columns)
        np.testing.assert_array_equal(learned, expected)
        assert found == [sorted(set(row), key=NAMES.index) for row in names]


def test_columns_may_be_called_otherwise_than_their_classes() -> None:
    columns = {name: as_column(values) for name, values in (("a", [1, 0]), ("b", [0, 0]), ("c", [1, 0]))}
    learned, names = told_by({"columns": ["a", "b", "c"], "classes": NAMES}, columns)
    np.testing.assert_array_equal(learned, [[1, 0, 1], [0, 0, 0]])
    assert names == [["sea", "sand"], []]


class Found:
    """An analysis with known vocabularies, in which all other words are unknown."""

    def __init__(self, *words: bytes) -> None:
        self.words = list(words)

    def look_up(self, name: str, words: tf.SparseTensor, limits: object) -> tf.SparseTensor:
        positions = {word: position for position, word in enumerate(self.words)}
        return words.with_values(tf.constant([positions.get(word, -1) for word in words.values.numpy()], tf.int64))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (ragged([["sky", "rain", "sea"], ["rain"], []], tf.string), (b"sea", b"sky")),
        (ragged([[-7, 10, 3], [10], []], tf.int64), (b"3", b"-7")),
    ],
)
def test_classes_that_training_has_not_found_are_left_out(values: tf.SparseTensor, words: tuple[bytes, bytes]) -> None:
    label = label_of(kind="multilabel", **{"from": "tags"})
    assert label.are_known  # the rest has a target, even without classes
    positions = label.transform(TransformContext(reading({"tags": values}), Found(*words)))[LABEL]  # type: ignore[arg-type]
    np.testing.assert_array_equal(Multilabel(["x", "y"], 0.5).target(positions), multi_hot([[0, 1], [], []], 2))
    as_texts = [text if isinstance(text, bytes) else b"%d" % text for text in values.values.numpy()]
    assert label.names(reading({"tags": values})).values.numpy().tolist() == as_texts


def test_scores_of_any_number_of_classes_are_probabilities_of_their_own() -> None:
    outputs = np.random.default_rng(0).normal(0, 3, [7, 3]).astype(np.float32)
    task = Multilabel(NAMES, 0.3)
    answer = task.answer(tf.constant(outputs))
    scores = 1 / (1 + np.exp(-outputs.astype(np.float64)))
    np.testing.assert_allclose(answer["scores"], scores, rtol=1e-5)
    np.testing.assert_array_equal(answer["chosen"], scores >= 0.3)
    assert set(answer) == {"classes", "scores", "chosen"} and answer["classes"].shape == (7, 3)
    true = np.random.default_rng(1).random([7, 3]) < 0.4
    expected = {
        "loss": -np.log(np.where(true, scores, 1 - scores)).mean(),
        "binary_accuracy": ((scores >= 0.3) == true).mean(),
        "f1": f1_score(true, scores >= 0.3, average="micro"),
    }
    found = {"loss": float(task.loss()(true.astype(np.float32), outputs))}
    for metric in metrics_of("multilabel", task, ["binary_accuracy", "f1"]):
        metric.update_state(true.astype(np.float32), outputs)
        found[metric.name] = float(metric.result())
    assert found == pytest.approx(expected, rel=1e-5)


def test_without_any_class_there_is_nothing_to_learn() -> None:
    with pytest.raises(DataError, match="no record of the training split has a class"):
        Multilabel([], 0.5)


def test_a_comparison_is_read_with_the_pipeline_file() -> None:
    with pytest.raises(ValidationError, match="divides by zero"):
        label_of(kind="binary", where="tips > fare / 0")


@pytest.mark.parametrize("function", [operator.gt, operator.le])
def test_what_calculates_like_numbers_can_be_compared(function: Callable) -> None:
    sign = {operator.gt: ">", operator.le: "<="}[function]
    assert evaluate(f"a {sign} b", {"a": 1, "b": 2}.__getitem__) == function(1, 2)


def test_a_column_that_is_not_there_may_be_one_whose_name_is_to_be_quoted() -> None:
    held = contract_of({}, label_of(kind="binary", where="trip-miles > 3"))
    fault = find_fault(example_data.record(**{"trip-miles": 2.0, "x": 1}), held) or ""
    assert "it has no column 'trip'; did you mean 'trip-miles' (where: takes such a name in double quotes)?" in fault
    near = contract_of({}, label_of(kind="binary", where="tisp > 3"))
    assert "it has no column 'tisp'; did you mean 'tips'? Its columns" in (
        find_fault(example_data.record(tips=2.0), near) or ""
    )
    assert (
        find_fault(
            example_data.record(**{"trip-miles": 2.0}),
            contract_of({}, label_of(kind="binary", where='"trip-miles" > 3')),
        )
        is None
    )
