"""Conversion of JSON records to the inputs of a pushed model."""

import base64
import io
import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from hubline.components.predictor import json_records
from hubline.components.predictor.json_records import Record, columns_of, is_json
from hubline.core.errors import UserError
from hubline.preprocessing.feature_columns import input_name

TAKES = {
    name: tf.TensorSpec([None], dtype, name=name)
    for name, dtype in (("fare", tf.float32), ("hour", tf.int64), ("pay_type", tf.string))
}
MISSING = {"fare": math.nan, "hour": tf.int64.min, "pay_type": b""}
RECORDS = [{"fare": 1.5, "hour": 3}, {}, {"pay-type": "ca\nsh"}]


def read_json(path: str) -> list[Record]:
    """The records of a file; raises the first error."""
    found = []
    for record in json_records.read_json(path):
        if isinstance(record, UserError):
            raise record
        found.append(record)
    return found


@pytest.mark.parametrize(
    "text",
    [
        "\n".join(map(json.dumps, RECORDS)),
        "\r\n\r\n".join(map(json.dumps, RECORDS)) + "\r\n",
        json.dumps(RECORDS),
        "\n".join(json.dumps(record, indent=4) for record in RECORDS),
        f"{json.dumps(RECORDS[:2], indent=1)} {json.dumps(RECORDS[2])}",
    ],
)
def test_objects_are_records_one_to_a_line_or_in_lists(tmp_path: Path, monkeypatch, text: str) -> None:
    path = tmp_path / "some.jsonl"
    path.write_text(text)
    assert read_json(str(path)) == RECORDS
    monkeypatch.setattr(json_records.sys, "stdin", SimpleNamespace(buffer=io.BytesIO(text.encode())))
    assert read_json("-") == RECORDS


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b'{"a": 1}\n{"a": }\n', ":2: not JSON: Expecting value"),
        (b'{"a": 1}\n\n{"a": 1', ":3: not JSON: Expecting ',' delimiter"),
        (b"[1]", ':1: 1 is not a record such as {"age": 30}'),
        (b'{}\n"text"\n', ':2: "text" is not a record'),
        (b"\n", ": contains no records"),
        (b"[]", ": contains no records"),
        (b'{"a": "\xff"}', ": not valid UTF-8 (byte 7)"),
        (b"[" * 100_000, ":1: not JSON"),
        (b'{"a": ' + b"9" * 10_000 + b"}", None),
    ],
)
def test_what_is_no_json_of_records_is_named_with_its_line(tmp_path: Path, content: bytes, says: str | None) -> None:
    path = tmp_path / "some.json"
    path.write_bytes(content)
    with pytest.raises(UserError) as error:
        columns_of(str(path), read_json(str(path)), {"a": tf.TensorSpec([None], tf.float32)})
    assert str(error.value).startswith(f"{path}{says or ''}")


def test_which_files_are_json() -> None:
    assert all(map(is_json, ("-", "a.json", "gs://b/a.jsonl")))
    assert not any(map(is_json, ("a.json.gz", "a.tfrecord", "json", "./-")))


def test_what_is_missing_is_what_stands_for_it_and_names_may_be_those_of_the_columns() -> None:
    some = [{"fare": 3, "hour": 7.0, "pay-type": "card"}, {"pay_type": None, "fare": math.nan}, {"hour": math.nan}]
    some += [{"pay-type": {"b64": base64.b64encode(b"\xff\x00").decode()}, "hour": -5}]
    columns = columns_of("-", some, TAKES)
    assert {name: values.dtype for name, values in columns.items()} == {name: TAKES[name].dtype for name in TAKES}
    assert columns["hour"].numpy().tolist() == [7, tf.int64.min, tf.int64.min, -5]
    assert columns["pay_type"].numpy().tolist() == [b"card", b"", b"", b"\xff\x00"]
    assert columns["fare"][0] == 3.0 and all(map(math.isnan, columns["fare"][1:].numpy()))


@pytest.mark.parametrize(
    ("record", "says"),
    [
        ({"fare": "3"}, "'fare' is \"3\"; the model expects a number"),
        ({"fare": True}, "'fare' is true; the model expects a number"),
        ({"fare": [1.0]}, "'fare' is [1.0]; the model expects a number"),
        ({"fare": 10**400}, "the model expects a number"),
        ({"hour": 3.5}, "'hour' is 3.5; the model expects a 64-bit integer"),
        ({"hour": 2**63}, "the model expects a 64-bit integer"),
        ({"hour": math.inf}, "'hour' is Infinity; the model expects a 64-bit integer"),
        ({"hour": False}, "'hour' is false; the model expects a 64-bit integer"),
        ({"pay-type": 3}, "'pay-type' is 3; the model expects a string"),
        ({"pay-type": {"b64": "é"}}, "the model expects a string, or bytes such as"),
        ({"pay-type": "\ud800"}, "the model expects a string"),
        (
            {"fair": 3.0},
            "'fair' is not an input of the model; did you mean 'fare'? Its inputs are fare, hour, pay_type",
        ),
        ({"zzz": 3.0}, "'zzz' is not an input of the model. Its inputs are fare, hour, pay_type"),
    ],
)
def test_each_mistake_is_named_with_its_record(record: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError) as error:
        columns_of("x.json", [{}, record, {"fare": "x"}], TAKES)
    first, second = str(error.value).split("\n")
    assert first.startswith("x.json: record 1: ") and says in first
    assert second == "x.json: record 2: 'fare' is \"x\"; the model expects a number"


def test_of_many_mistakes_the_first_are_shown() -> None:
    with pytest.raises(UserError) as error:
        columns_of("x.json", [{"fare": "x"}] * 25, TAKES)
    assert len(str(error.value).split("\n")) == 11 and str(error.value).endswith("\nand 15 more errors")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=4,
)


@pytest.mark.slow
@settings(deadline=None, max_examples=100)
@given(st.lists(st.dictionaries(st.sampled_from(["fare", "hour", "pay-type", "other"]), JSON), max_size=3))
def test_any_json_becomes_columns_of_as_many_values_or_a_mistake(records: list[dict[str, Any]]) -> None:
    records = json.loads(json.dumps(records))
    try:
        columns = columns_of("-", records, TAKES)
    except UserError as error:
        assert "record " in str(error)
        return
    for number, record in enumerate(records):
        given = {input_name(column): value for column, value in record.items()}
        for name in TAKES:
            got, expected = columns[name][number].numpy(), given.get(name)
            if expected is None or (isinstance(expected, float) and math.isnan(expected)):
                assert got == MISSING[name] or (name == "fare" and math.isnan(got))


def test_where_the_model_takes_lists_the_shorter_are_filled_with_what_is_missing() -> None:
    takes = {"ids": tf.TensorSpec([None, None], tf.int64), "words": tf.TensorSpec([None, None], tf.string)}
    some = [{"ids": [1, None, 3], "words": "one"}, {"ids": 7}, {}]
    columns = columns_of("-", some, takes)
    least = tf.int64.min
    assert columns["ids"].numpy().tolist() == [[1, least, 3], [7, least, least], [least] * 3]
    assert columns["words"].numpy().tolist() == [[b"one"], [b""], [b""]]
    with pytest.raises(UserError, match=r"record 0: 'ids' is \[1, \"x\"\]; the model expects a 64-bit integer"):
        columns_of("-", [{"ids": [1, "x"]}], takes)
    with pytest.raises(UserError, match=r"record 0: 'fare' is \[1\]; the model expects a number"):
        columns_of("-", [{"fare": [1]}], TAKES)
