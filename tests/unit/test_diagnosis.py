"""Diagnosis of features and labels, and the messages about uninformative ones."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from hubline.preprocessing.columns import parsing_spec
from hubline.preprocessing.config import Features, Label
from hubline.preprocessing.summary import Extremes, Summarizer
from hubline.preprocessing.transform import raw_columns
from hubline.trainer.diagnosis import diagnose
from tests.support import example_data
from tests.support import job as make_job

ROWS = 60
FEATURES: dict[str, dict[str, Any]] = {
    "colour": {"kind": "categorical", "vocabulary": ["red", "green"]},
    "shade": {"kind": "categorical", "from": "colour", "vocabulary": ["light"], "oov_buckets": 3},
    "stars": {"kind": "categorical", "identity": 10},
    "word": {"kind": "categorical", "vocabulary": {"top_k": 1}},
    "amount": {"kind": "numeric", "normalize": "z_score"},
    "level": {"kind": "bucketized", "from": "amount", "boundaries": [1000.0, 2000.0]},
    "fine": {"kind": "bucketized", "from": "amount", "boundaries": [3.0, 5.0]},
    "tags": {"kind": "numeric"},
    "plain": {"kind": "numeric"},
    "discount": {"kind": "numeric"},
}


def values(number: int) -> dict[str, Any]:
    """Record `number` of the training split."""
    return {
        "colour": "RED" if number % 3 else "green",
        "stars": number % 10 + 1,
        "word": "often" if number % 2 else f"rare{number}",
        "amount": -999.0 if number % 20 == 0 else float(number % 7),
        "tags": example_data.feature(1.0, 2.0) if number % 4 == 0 else 1.5,
        "plain": float(number),
        "discount": (0.0, 0.2, 0.25, 0.3)[number % 4],
        "y": 1 + number % 2,
    }


def summarized(folder: Path, label: dict[str, Any], splits: dict[str, list[bytes]]):
    """The findings, and the summaries that they are based on."""
    features = TypeAdapter(Features).validate_python(FEATURES)
    of = TypeAdapter(Label).validate_python(label)
    types = {"colour": "BYTES", "stars": "INT", "word": "BYTES", "amount": "FLOAT", "tags": "FLOAT", "plain": "FLOAT"}
    types["discount"] = "FLOAT"
    schema = make_job.schema("", **types, y="INT")
    transform = make_job.transform_graph(folder, splits["train"], features, of, schema)
    summarizer = Summarizer(features, of, transform, parsing_spec(schema, raw_columns(features, of)))
    found = {
        split: summarizer.summarize(tf.data.Dataset.from_tensor_slices(records).batch(16))
        for split, records in splits.items()
    }
    return diagnose(features, of, transform, found), found


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory):
    train = [example_data.record(**values(number)) for number in range(ROWS)]
    test = [example_data.record(**values(number) | {"y": 7}) for number in range(10)]
    label = {"kind": "class", "from": "y"}
    return summarized(tmp_path_factory.mktemp("counted"), label, {"train": train, "validation": train, "test": test})


@pytest.mark.slow
def test_counts_are_those_of_a_loop_over_the_records(counted) -> None:
    train = counted[1]["train"]
    rows = [values(number) for number in range(ROWS)]
    assert train.records == ROWS
    colour = train.features["colour"]
    assert (colour.given, colour.known) == (ROWS, sum(row["colour"] == "green" for row in rows))
    assert colour.categories == {1: colour.known} and colour.unknown == ("RED",)
    assert train.features["stars"].known == sum(row["stars"] <= 9 for row in rows)
    assert train.features["stars"].categories == {n: sum(row["stars"] == n for row in rows) for n in range(1, 10)}
    assert train.features["shade"].known == 0
    assert train.features["tags"].several == sum(number % 4 == 0 for number in range(ROWS))
    assert train.classes == {0: 30, 1: 30}
    assert counted[1]["test"].classes == {-1: 10}
    amounts = [row["amount"] for row in rows]
    ascending = tuple((value, amounts.count(value)) for value in sorted(set(amounts)))
    assert train.columns["amount"].least == ascending[:5] and ascending[0][0] == -999
    assert train.columns["amount"].greatest == ascending[::-1][:5]


def test_what_is_found_is_said_once_with_its_share_and_what_would_be_right(counted) -> None:
    found = counted[0]
    assert [finding.text for finding in found] == [
        "label: 10 of 10 records (100.00%) of the test split have a class that the training split lacks",
        "features.colour: 40 of 60 records (66.67%) with a value have unknown values only, such as 'RED'; they count "
        "as missing; the vocabulary has 'red', but the data has 'RED': they differ in case or spaces",
        "features.shade: all 60 records with a value have unknown values only, such as 'green', 'RED'; the vocabulary "
        "has 'light'",
        "features.stars: 6 of 60 records (10.00%) with a value have unknown values only, such as '10'; they count as "
        "missing; `identity: 10` accepts the numbers from 0 to 9",
        "features.level: every record falls into the same category, because the column ranges from -999 to 6; use "
        "boundaries within that range",
        "features.tags: 15 of 60 records (25.00%) have several values, but only the first is used",
        "column 'amount': 3 values of the training split are -999; the nearest other value is 0, and the gap is wider "
        "than the range of all others. If -999 marks a missing value, remove it from the records",
    ]
    assert [finding.stops for finding in found] == [False, False, True, False, False, False, False]


@pytest.mark.parametrize(
    ("label", "says", "stops"),
    [
        (
            {"kind": "binary", "from": "y", "above": 0.5},
            "label: all 60 records of the training split are of the class 'yes'; there is nothing to distinguish",
            True,
        ),
        (
            {"kind": "binary", "where": "plain > 30"},
            "the label is computed from 'plain', which features use too",
            False,
        ),
    ],
)
@pytest.mark.slow
def test_a_label_of_one_class_and_one_that_features_tell(tmp_path: Path, label: dict, says: str, stops: bool) -> None:
    train = [example_data.record(**values(number)) for number in range(ROWS)]
    found, _ = summarized(tmp_path, label, {"train": train, "validation": train, "test": train})
    assert [finding.stops for finding in found if finding.text.startswith(says)] == [stops]


NUMBERS = st.lists(st.integers(-5, 5).map(float) | st.just(-999.0), max_size=30)


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(NUMBERS, NUMBERS)
def test_extremes_of_parts_are_those_of_the_whole(one: list[float], other: list[float]) -> None:
    whole = Extremes.of(np.array(one + other))
    assert Extremes.of(np.array(one)).merged(Extremes.of(np.array(other))) == whole
    distinct = sorted({*one, *other})
    assert whole.least == tuple((value, (one + other).count(value)) for value in distinct[:5])
    assert whole.has_few == (len(distinct) < 10)
    assert whole.greatest == tuple((value, (one + other).count(value)) for value in distinct[::-1][:5])
