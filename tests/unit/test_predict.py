"""`hubline predict` with a pushed model: inputs, order of predictions, and bad items."""

import io
import json
import math
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from rich.console import Console

from hubline.components.beam import in_processes
from hubline.components.predictor.exported_model import ExportedModelSpec
from hubline.components.predictor.inputs import batches, counted, pieces_of, shards_of
from hubline.core.errors import DataError, UserError
from hubline.pipeline.predict.predict import Request, predict_inputs, predict_to_folder
from tests.support import example_data
from tests.support import model as make_model
from tests.support.predict import predict, read

SEVERAL_WORKERS = in_processes(2)
X = np.linspace(-9, 9, 61).tolist()


def row(number: int) -> dict[str, Any]:
    return {"x": X[number], "word": "a" * (number % 4), "id": f"id-{number}"}


def high(number: int) -> float:
    return 1 / (1 + math.exp(-(X[number] + number % 4)))


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """A model, and rows 0 to 60 in three files of different types."""
    folder = tmp_path_factory.mktemp("project")
    make_model.served(folder / "serving")
    records = [example_data.record(**row(number)) for number in range(61)]
    example_data.write_tfrecord(folder / "in" / "a.tfrecord", records[:25])
    example_data.write_tfrecord(folder / "in" / "b.tfrecord.gz", records[25:40], "GZIP")
    lines = "".join(f"{json.dumps(row(number))}\n" for number in range(40, 61))
    (folder / "in" / "c.jsonl").write_text(lines)
    return folder


EXPECTED = [("a.tfrecord", n) for n in range(25)] + [("b.tfrecord.gz", n) for n in range(15)]
EXPECTED += [("c.jsonl", n) for n in range(21)]


def check_rows(rows: Sequence[dict[str, Any]], key: bool = False) -> None:
    assert [(Path(said["input"]).name, said["record"]) for said in rows] == EXPECTED
    for number, said in enumerate(rows):
        assert said["scores"] == pytest.approx({"low": 1 - high(number), "high": high(number)}, abs=1e-6)
        assert said["label"] == max(said["scores"], key=said["scores"].get)
        assert said["score"] == max(said["scores"].values())
        assert said.get("key") == (f"id-{number}" if key else None)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("shards", "batch_size", "beam"),
    [(None, 64, None), (1, 4, None), (2, 64, None), (7, 3, None), (500, 64, None), (4, 5, SEVERAL_WORKERS)],
)
def test_order_and_keys_are_those_of_the_input_whatever_shards_and_workers(
    project: Path, tmp_path: Path, shards: int | None, batch_size: int, beam: list[str] | None
) -> None:
    output = tmp_path / "out"
    request = Request([str(project / "in")], output=output, shards=shards, batch_size=batch_size, key="id")
    model_spec = ExportedModelSpec.of(str(project / "serving"), "id")
    done = predict_to_folder(model_spec, request, Console(file=io.StringIO()), **({"beam": beam} if beam else {}))
    assert (done.predicted, done.bad) == (61, 0)
    assert len(done.files) == {None: 3, 500: 61}.get(shards, shards)
    check_rows(read(output), key=True)
    assert sorted(path.name for path in output.iterdir()) == list(done.files)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.slow
def test_what_is_printed_is_what_is_written(project: Path, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    whole = predict(project / "serving", project / "in" / "[ab].*", project / "in" / "c.jsonl", "--key", "id", "--json")
    said = json.loads(whole.stdout.splitlines()[-1])
    assert said["status"] == "succeeded"
    check_rows(said["predictions"], key=True)
    thrice = [project / "in" / "a.tfrecord"] * 3  # more rows than are printed at once
    header, *lines = predict(project / "serving", *thrice).stdout.splitlines()
    assert header.split() == ["input", "record", "label", "score", "next"]
    assert [line.split()[-1] for line in lines] == [f"{min(high(n), 1 - high(n)):.3f}" for n in range(25)] * 3
    assert len({line.index(" low ") for line in lines if " low " in line and "high 0" in line}) == 1


@pytest.mark.slow
def test_tfrecords_hold_the_answers_and_the_keys(project: Path, tmp_path: Path) -> None:
    predict(
        project / "serving", project / "in", "--output", tmp_path / "out", "--format", "tfrecord", "--shards", 2,
        "--key", "id",
    )  # fmt: skip
    files = sorted((tmp_path / "out").iterdir())
    assert [path.name for path in files] == [f"predictions-0000{n}-of-00002.tfrecord" for n in range(2)]
    spec = {
        "input": tf.io.FixedLenFeature([], tf.string),
        "record": tf.io.FixedLenFeature([], tf.int64),
        "key": tf.io.FixedLenFeature([], tf.string),
        "label": tf.io.FixedLenFeature([], tf.string),
        "score": tf.io.FixedLenFeature([], tf.float32),
        "classes": tf.io.FixedLenFeature([2], tf.string),
        "scores": tf.io.FixedLenFeature([2], tf.float32),
    }
    records = [record for path in files for record in example_data.read_tfrecord(path)]
    assert {name for name in tf.train.Example.FromString(records[0]).features.feature} == set(spec)
    parsed = tf.io.parse_example(records, spec)
    names = [Path(name.decode()).name for name in parsed["input"].numpy()]
    assert list(zip(names, parsed["record"].numpy().tolist(), strict=True)) == EXPECTED
    np.testing.assert_allclose(parsed["scores"][:, 1], [high(n) for n in range(61)], atol=1e-6)
    assert parsed["key"].numpy().tolist() == [f"id-{n}".encode() for n in range(61)]
    assert (parsed["classes"].numpy() == [b"low", b"high"]).all()


@pytest.mark.slow
def test_images_of_a_folder_are_batched_and_need_no_names_of_their_own(tmp_path: Path) -> None:
    make_model.served_on_images(tmp_path / "serving")
    greys = [5 * number for number in range(20)]
    for number, grey in enumerate(greys):
        path = tmp_path / "photos" / f"{number % 2}" / f"{number:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(example_data.image_bytes(np.full([4, 3 + number, 3], grey, np.uint8)))
    (tmp_path / "photos" / ".hidden").write_bytes(b"x")
    predict(tmp_path / "serving", tmp_path / "photos", "--output", tmp_path / "out", "--shards", 3)
    rows = read(tmp_path / "out")
    expected = [(f"{tmp_path}/photos/{n % 2}/{n:02}.png", None, greys[n]) for n in [*range(0, 20, 2), *range(1, 20, 2)]]
    assert [(said["input"], said["record"], round(said["value"])) for said in rows] == expected


def test_standard_input_is_written_in_shards_too(project: Path, tmp_path: Path) -> None:
    text = "".join(json.dumps(row(number)) for number in range(61))
    predict(project / "serving", "-", "--output", tmp_path / "out", "--shards", 3, "--key", "id", text=text)
    rows = read(tmp_path / "out")
    assert [(said["input"], said["record"]) for said in rows] == [("-", number) for number in range(61)]
    assert [said["scores"]["high"] for said in rows] == pytest.approx([high(n) for n in range(61)], abs=1e-6)


BAD = {"x": [1.0], "word": "text"}


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """Inputs with records that cannot be predicted on: in a.tfrecord 7, without column `x`, and 30, not a tf.Example;
    in b.tfrecord 11, damaged; in c.jsonl 1, of a wrong type, 3, not JSON, and 5, with an extra column."""
    folder = tmp_path / "mixed"
    records = [example_data.record(x=float(number)) for number in range(40)]
    wrong = {7: example_data.record(word="x"), 30: b"\xff\xff\xff"}
    example_data.write_tfrecord(folder / "a.tfrecord", [wrong.get(n, record) for n, record in enumerate(records)])
    make_model.damaged(example_data.write_tfrecord(folder / "b.tfrecord", records), 11)
    lines = ['{"x": 1}', '{"x": "1"}', '{"x": 2}', '{"x": }', '{"x": 3}', '{"x": 4, "y": 1}', '{"x": 5}']
    (folder / "c.jsonl").write_text("\n".join(lines))
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("shards", [None, 1, 5])
def test_bad_records_are_listed_and_the_others_answered(
    project: Path, mixed: Path, tmp_path: Path, shards: int | None
) -> None:
    output = tmp_path / "out"
    options = ["--shards", shards] if shards else []
    done = predict(project / "serving", mixed, "--output", output, "--bad", "skip", "--json", *options)
    summary = json.loads(done.stdout)
    assert (summary["predicted"], summary["bad"]) == (38 + 39 + 4, 6)
    listed = [json.loads(line) for line in (output / "bad.jsonl").read_text().splitlines()]
    where = [(Path(one["input"]).name, one["record"]) for one in listed]
    assert where == [("a.tfrecord", 7), ("a.tfrecord", 30), ("b.tfrecord", 11)] + [("c.jsonl", n) for n in (1, 3, 5)]
    for one, reason in zip(
        listed,
        [
            "Feature: x",
            "cannot be predicted on",
            "do not match their checksum",
            "'x' is \"1\"",
            "not JSON",
            "'y' is no",
        ],
        strict=True,
    ):
        assert reason in one["reason"]
    good = [("a.tfrecord", n) for n in range(40) if n not in (7, 30)] + [
        ("b.tfrecord", n) for n in range(40) if n != 11
    ]
    rows = read(output)
    assert [(Path(said["input"]).name, said["record"]) for said in rows] == good + [
        ("c.jsonl", n) for n in (0, 2, 4, 6)
    ]
    expected = [1 / (1 + math.exp(-n)) for _, n in good] + [1 / (1 + math.exp(-n)) for n in (1, 2, 3, 5)]
    assert [said["scores"]["high"] for said in rows] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("a.tfrecord", "a.tfrecord: record 7 (counted from 0): it cannot be predicted on: "),
        ("b.tfrecord", "b.tfrecord: record 11 (counted from 0): it cannot be read: its data do not match"),
        ("c.jsonl", "c.jsonl: record 1: 'x' is \"1\"; the model expects a number"),
    ],
)
@pytest.mark.parametrize("to_folder", [False, True])
def test_the_first_bad_record_stops_it_and_nothing_is_left(
    project: Path, mixed: Path, tmp_path: Path, name: str, says: str, to_folder: bool
) -> None:
    output = ["--output", tmp_path / "out"] if to_folder else []
    result = predict(project / "serving", mixed / name, *output, code=2)
    assert f"{mixed}/{says}" in str(result.exception)
    assert [path.name for path in tmp_path.iterdir()] == ["mixed"]


@pytest.mark.slow
def test_where_nothing_can_be_predicted_on_nothing_is_written(project: Path, tmp_path: Path) -> None:
    path = example_data.write_tfrecord(tmp_path / "x", [example_data.record(word="a")] * 3)
    said = f"none of 3 could be predicted on; the first: {path}: record 0 (counted from 0): it cannot be predicted on: "
    for options in (["--output", tmp_path / "out"], []):
        result = predict(project / "serving", path, "--bad", "skip", *options, code=1)
        assert said in result.stderr
        result = predict(project / "serving", path, "--bad", "skip", "--json", *options, code=1)
        last = json.loads(result.stdout.splitlines()[-1])
        assert last["status"] == "failed" and said in last["error"]
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_files_are_those_with_predictions_in_them(project: Path, tmp_path: Path) -> None:
    good, bad = [example_data.record(x=1.0)] * 3, [example_data.record(word="a")] * 2
    for name, records in {"a": good, "b": [], "c": bad, "d": good}.items():
        example_data.write_tfrecord(tmp_path / "in" / name, records)
    output = tmp_path / "out"
    result = predict(project / "serving", tmp_path / "in", "--output", output, "--bad", "skip", "--json")
    summary = json.loads(result.stdout)
    names = [f"predictions-0000{number}-of-00002.jsonl" for number in range(2)]
    assert (summary["predicted"], summary["bad"], summary["files"]) == (6, 2, names)
    assert sorted(path.name for path in output.iterdir()) == ["bad.jsonl", *names]
    assert [Path(said["input"]).name for said in read(output)] == ["a"] * 3 + ["d"] * 3
    told = predict(project / "serving", tmp_path / "in" / "a", "--output", tmp_path / "more").stdout
    assert told.startswith(f"3 predictions in 1 file in {tmp_path}/more, ")


@pytest.mark.slow
@pytest.mark.parametrize(("height", "width"), [(16, 16), (8, 16), (16, 4), (24, 48), (5, 16)])
def test_shares_of_pixels_are_of_the_picture_and_not_of_its_padding(tmp_path: Path, height: int, width: int) -> None:
    make_model.served_as(tmp_path / "serving", make_model.Dark())
    pixels = np.full([height, width, 3], 255, np.uint8)
    pixels[:, : width // 4] = 0  # a quarter is road, and all padding appears to be
    picture = tmp_path / "a.png"
    picture.write_bytes(example_data.image_bytes(pixels))
    result = predict(tmp_path / "serving", picture, "--json")
    (said,) = json.loads(result.stdout.splitlines()[-1])["predictions"]
    assert said["shares"] == {"other": 0.75, "road": 0.25}
    predict(tmp_path / "serving", picture, "--output", tmp_path / "out", "--format", "tfrecord")
    (record,) = example_data.read_tfrecord(tmp_path / "out" / "predictions-00000-of-00001.tfrecord")
    columns = tf.train.Example.FromString(record).features.feature
    assert dict(zip(columns["classes"].bytes_list.value, columns["shares"].float_list.value, strict=True)) == {
        b"other": 0.75,
        b"road": 0.25,
    }


def test_numbers_that_are_none_are_null_in_json(project: Path, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"x": NaN}\n{"x": 1.0}\n')
    result = predict(project / "serving", tmp_path / "a.jsonl", "--json")
    strict: Any = lambda text: pytest.fail(text)  # noqa: E731
    said = json.loads(result.stdout.splitlines()[-1], parse_constant=strict)["predictions"]
    assert said[0]["scores"]["high"] is None and said[1]["scores"]["high"] == pytest.approx(1 / (1 + math.exp(-1)))


@pytest.mark.slow
@pytest.mark.parametrize("cut", [1, 9, 20])
@pytest.mark.parametrize("compression", ["", "GZIP"])
def test_a_file_that_is_cut_is_answered_as_far_as_it_goes(project: Path, tmp_path: Path, cut: int, compression) -> None:
    path = example_data.write_tfrecord(
        tmp_path / "x", [example_data.record(x=float(n)) for n in range(30)], compression
    )
    path.write_bytes(path.read_bytes()[:-cut])
    result = predict(project / "serving", path, "--bad", "skip", "--output", tmp_path / "out", "--shards", 2, "--json")
    summary = json.loads(result.stdout)
    rows = read(tmp_path / "out")
    assert [said["record"] for said in rows] == list(range(summary["predicted"]))
    assert summary["predicted"] >= 28 - (30 if compression and cut > 8 else 0)
    assert compression or (summary["predicted"], summary["bad"]) == (29, 1)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "no model: pass a model"),
        (["SERVING"], "no inputs: pass images"),
        (["SERVING", "absent", "no*ne"], "absent: there is no such file\nno*ne: no file matches"),
        (["empty", "IN"], "empty: neither a SavedModel nor a serving folder with a version in it"),
        (["SERVING", "IN", "--top", "3", "--seed", "1"], "--top, --seed: requires --hub HANDLE"),
        (["SERVING", "IN", "--draw", "d"], "--draw: there is nothing to draw"),
        (["SERVING", "IN", "--output", "full"], "full: is not empty; use another folder"),
        (
            ["SERVING", "IN", "--key", "nr"],
            "record 0: no column 'nr' for --key; its columns are: id, wo",
        ),
        (["SERVING", "picture.png"], "picture.png: this model takes word, x; pass TFRecords or JSON"),
        (["SERVING", "IN", "--output", "gs://bucket/x"], "must be a folder on this machine"),
    ],
)
def test_mistakes_say_what_would_be_right(
    project: Path, tmp_path: Path, monkeypatch, arguments: list[str], says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    (tmp_path / "empty").mkdir()
    (tmp_path / "picture.png").write_bytes(example_data.random_image(0))
    places = {"SERVING": str(project / "serving"), "IN": str(project / "in")}
    result = predict(*(places.get(argument, argument) for argument in arguments), code=2)
    assert says in str(result.exception)


def test_a_mistake_in_the_middle_ends_json_with_an_object_of_its_own(project: Path, mixed: Path) -> None:
    result = predict(project / "serving", mixed / "a.tfrecord", "--batch-size", 2, "--json", code=2)
    assert isinstance(result.exception, DataError)
    (line,) = result.stdout.splitlines()
    said = json.loads(line)  # the error is a line of its own
    assert [one["record"] for one in said["predictions"]] == list(range(7)) and said["status"] == "failed"


@pytest.mark.slow
def test_records_are_read_as_they_are_asked_for(tmp_path: Path) -> None:
    endless = iter(f'{{"x": {number}}}\n' for number in range(10**9))

    class Pipe:
        def read1(self, size: int) -> bytes:
            return next(endless).encode()

    make_model.served(tmp_path / "serving")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hubline.components.predictor.json_records.sys.stdin", type("In", (), {"buffer": Pipe()}))
        rows = predict_inputs(str(tmp_path / "serving"), ["-"])
        first = [next(rows) for _ in range(200)]
    assert [said["record"] for said in first] == list(range(200))
    assert int(next(endless).split()[1][:-2]) < 300


@pytest.mark.slow
@pytest.mark.parametrize("shards", [1, 2, 3, 10, 61, 100])
def test_shards_are_as_equal_as_they_can_be(project: Path, shards: int) -> None:
    pieces = [counted(piece) for piece in pieces_of([str(project / "in")])]
    found = shards_of(pieces, shards)
    sizes = [sum(piece.count or 0 for piece in shard) for shard in found]
    assert sum(sizes) == 61 and len(sizes) == min(shards, 61) and max(sizes) - min(sizes) <= 1
    items = [item for shard in found for _, batch in batches(shard, 4) for item in batch]
    assert [(Path(item.input).name, item.record) for item in items] == EXPECTED
    assert len({item.name for item in items}) == 61 and sorted(item.name for item in items) == [i.name for i in items]


def test_a_damaged_model_is_named_with_the_file(project: Path, tmp_path: Path) -> None:
    (version,) = (project / "serving").iterdir()
    shutil.copytree(version, tmp_path / "1")
    os.truncate(tmp_path / "1" / "variables" / "variables.data-00000-of-00001", 100)
    with pytest.raises(UserError, match=r"/1/variables/variables\.data: variable .*: Read less bytes than requested"):
        ExportedModelSpec.of(str(tmp_path)).open()
