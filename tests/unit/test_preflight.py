"""What `hubline check` sees in data and paths before anything runs."""

import hashlib
import json
import math
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from hubline.components.example_gen.first_record import has_column, read_records
from hubline.components.predictor.label_answers import ANSWERS
from hubline.core.errors import UserError
from hubline.pipeline.config import InferFile
from hubline.pipeline.diagnostics import PipelineFileError
from hubline.pipeline.looks import sample as sample_module
from hubline.pipeline.looks import serving
from hubline.pipeline.preflight import check
from hubline.pipeline.run import run
from tests.support import example_data
from tests.support.hub_modules import mean_colour
from tests.support.pixels import mask_bytes

PIPELINE = """\
name: a
data: {examples: data/*%s}
features: {photo: {kind: image, size: [32, 32], from: image}, x: {kind: numeric}}
label: {from: y, kind: class}
backbones: {net: {kind: lenet5, input: photo}}
training: {epochs: 1}
serving: {destination: serving}
"""


def write(folder: Path, *records: bytes, more: str = "", compression: str = "") -> Path:
    example_data.write_tfrecord(folder / "data" / "a.tfrecord", records, compression)
    path = folder / "pipeline.yaml"
    path.write_text(PIPELINE % more)
    return path


def messages(path: Path) -> dict[str, str]:
    try:
        check(path)
    except PipelineFileError as error:
        return {diagnostic.key: diagnostic.message for diagnostic in error.diagnostics}
    return {}


PHOTO = example_data.random_image(0)


@pytest.mark.parametrize(
    ("columns", "key", "says"),
    [
        (
            {"image": PHOTO, "x": 1, "Y": 1},
            "label.from",
            "the first record has no label 'y'; did you mean 'Y'?",
        ),
        (
            {"image": PHOTO, "x": 1, "y": tf.train.Feature()},
            "label.from",
            "the label 'y' of the first record is empty",
        ),
        (
            {"images": PHOTO, "x": 1, "y": 1},
            "features.photo.from",
            "has no image 'image'; did you mean 'images'?",
        ),
        ({"image": PHOTO, "x": 1, "y": 1}, None, ""),
    ],
)
@pytest.mark.parametrize("compression", ["", "GZIP"])
@pytest.mark.parametrize("form", [lambda record: record, example_data.sequence], ids=["Example", "SequenceExample"])
def test_what_every_record_must_have_is_looked_for_in_the_first(
    tmp_path: Path, columns: dict, key: str | None, says: str, compression: str, form
) -> None:
    found = messages(write(tmp_path, form(example_data.record(**columns)), compression=compression))
    if key is None:
        assert found == {}
    else:
        assert found.keys() == {key} and says in found[key]


def test_data_is_listed_once_and_its_first_record_read_once(tmp_path: Path, monkeypatch) -> None:
    calls: list[str] = []
    for called in (sample_module.find, sample_module.read_records):

        def counted(*given, _called=called, **options):
            calls.append(_called.__name__)
            return _called(*given, **options)

        monkeypatch.setattr(sample_module, called.__name__, counted)
    path = write(tmp_path, example_data.record(other=PHOTO, x=1))
    crop = "backbones: {one: {kind: lenet5, input: crop}, "
    text = path.read_text().replace("features: {", "features: {crop: {kind: image, size: [32, 32], from: image}, ")
    path.write_text(text.replace("backbones: {", crop))
    assert messages(path).keys() == {"features.photo.from", "features.crop.from", "label.from"}
    assert sorted(calls) == ["find", "read_records"]
    calls.clear()
    (warning,) = check(_served(write(tmp_path, example_data.record(image=PHOTO, x=1, y=1)), ["value"]))[2]
    assert warning.key == "serving.destination"
    assert sorted(calls) == ["find", "read_records"], "what finds doubts asks the sample that errors were looked for in"


def test_records_that_may_be_quarantined_are_not_judged_by_the_first(tmp_path: Path) -> None:
    records = [example_data.record(x=1), example_data.record(x=1, image=PHOTO, y=1)]
    assert messages(write(tmp_path, *records, more=", bad_records: {policy: quarantine}")) == {}


@pytest.mark.parametrize("more", [", bad_records: {policy: quarantine}", ", where: keep == 1"])
def test_a_type_in_a_record_that_is_not_judged_is_no_error(tmp_path: Path, more: str) -> None:
    records = [
        example_data.record(keep=0, x="old", image=PHOTO, y=1),
        example_data.record(keep=1, x=1, image=PHOTO, y=1),
    ]
    assert messages(write(tmp_path, *records)).keys() == {"features.x"}
    assert messages(write(tmp_path, *records, more=more)) == {}


@pytest.mark.parametrize(("window", "says"), [("", None), (", window: 2", None), (", window: 1", "no record has a")])
def test_a_column_that_only_an_older_span_has_is_there_if_a_run_reads_the_span(
    tmp_path: Path, window: str, says: str | None
) -> None:
    path = write(tmp_path, example_data.record())
    for day, columns in {"01": {"x": 1}, "02": {"X": 1}}.items():
        record = example_data.record(image=PHOTO, y=1, **columns)
        example_data.write_tfrecord(tmp_path / f"2024-01-{day}" / "a.tfrecord", [record])
    text = path.read_text().replace("data/*", f"'{{YYYY}}-{{MM}}-{{DD}}/*'{window}")
    path.write_text(text)
    found = messages(path)
    assert found.keys() == ({"features.x"} if says else set())
    assert says is None or says in found["features.x"]
    path.write_text(text.replace("x: {", "z: {"))
    assert "no record has a column 'z'" in messages(path)["features.z"], "a misspelt column is in no span"


def test_the_columns_of_a_record_are_those_that_tensorflow_reads(tmp_path: Path) -> None:
    record = example_data.record(a=example_data.feature(1, 2, 3), b="text", c=0.5, d=tf.train.Feature())
    path = example_data.write_tfrecord(tmp_path / "x", [record, example_data.record(e=1)])
    first, second = read_records(str(path), 5)
    assert {name: (column.type, list(column.values)) for name, column in first.items()} == {
        "a": ("int", [1, 2, 3]),
        "b": ("bytes", [b"text"]),
        "c": ("float", [0.5]),
        "d": (None, []),
    }
    assert second.keys() == {"e"}
    assert len(list(read_records(str(path), 1))) == 1
    steps = example_data.write_tfrecord(tmp_path / "s", [example_data.sequence(record, steps=4)])
    (read,) = read_records(str(steps), 5)
    assert read["steps"].type == "int" and list(read["steps"].values) == [0, 1, 2, 3]


@pytest.mark.parametrize("compression", ["", "GZIP"])
def test_a_column_is_found_anywhere_in_a_file(tmp_path: Path, compression: str) -> None:
    filler = [example_data.record(x=b"%d" % number + bytes(1 << 16)) for number in range(40)]
    records = [*filler, example_data.record(**{"rare": 1, "l" * 200: 1})]
    path = str(example_data.write_tfrecord(tmp_path / "x", records, compression))
    assert [has_column(path, name, math.inf) for name in ("x", "rare", "l" * 200, "rar", "l" * 199)] == [
        True,
        True,
        True,
        False,
        False,
    ]
    assert has_column(path, "rare", -math.inf) is None


@pytest.mark.parametrize("content", [b"", b"short", b"\xff" * 64, b"\x1f\x8b\x08 no gzip", b"\x08" + b"\0" * 40])
def test_what_is_no_tfrecord_file_is_left_to_ingestion(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x").write_bytes(content)
    assert not list(read_records(str(tmp_path / "x"), 5))


def test_a_link_that_leads_nowhere_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, example_data.record(image=PHOTO, x=1, y=1))
    (tmp_path / "data" / "b.tfrecord").symlink_to(tmp_path / "gone")
    assert messages(path) == {
        "data.examples": f"{tmp_path}/data/b.tfrecord: a broken link to {tmp_path}/gone; remove or repair the link"
    }


@pytest.mark.slow
def test_a_file_whose_name_is_not_utf_8_is_named_without_a_fault(tmp_path: Path) -> None:
    path = write(tmp_path, example_data.record(image=PHOTO, x=1, y=1))
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/data/gr\xfc.tfrecord")).touch()
    ended = subprocess.run(
        [sys.executable, "-m", "hubline.pipeline.cli", "check", str(path)], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2 and "Traceback" not in ended.stderr
    assert r"gr\udcfc.tfrecord: its name is not UTF-8" in ended.stderr


def test_a_warm_start_from_nothing_is_named_with_its_key(tmp_path: Path) -> None:
    path = write(tmp_path, example_data.record(image=PHOTO, x=1.0, y=0))
    text = path.read_text()
    path.write_text(text.replace("epochs: 1", "epochs: 1, warm_start: {from: earlier}"))
    assert "there is no checkpoint" in messages(path)["training.warm_start.from"]
    tf.train.Checkpoint(v=tf.Variable(1.0)).write(str(tmp_path / "earlier"))
    assert messages(path) == {}
    path.write_text(text.replace("epochs: 1", "epochs: 1, warm_start: {from: serving}"))  # no version serves yet
    assert messages(path) == {}


@pytest.mark.parametrize(("name", "is_fine"), [("exp[1]", False), ("a\\b", False), ("a*b?", True), ("{x} y", True)])
def test_folders_in_which_tensorflow_finds_no_model_are_refused(tmp_path: Path, name: str, is_fine: bool) -> None:
    found = messages(write(tmp_path / name, example_data.record(image=PHOTO, x=1, y=1)))
    assert found.keys() == (set() if is_fine else {"", "serving.destination"})
    assert all("TensorFlow's checkpoint reader takes the" in message for message in found.values())
    # The ones that TensorFlow reads a model from:
    saved = tmp_path / name / "model"
    tf.saved_model.save(tf.Module(), str(saved))
    module = tf.Module()
    module.v = tf.Variable(1.0)
    tf.saved_model.save(module, str(saved))
    try:
        read = float(tf.saved_model.load(str(saved)).v) == 1.0
    except (FileNotFoundError, tf.errors.OpError):
        read = False
    assert read == is_fine


def _served(path: Path, outputs: Sequence[str]) -> Path:
    """A pipeline file whose serving folder has a version 3 with these outputs."""
    version = path.parent / "serving" / "3"
    (version / "assets.extra").mkdir(parents=True)
    saved = saved_model_pb2.SavedModel()
    signature = saved.meta_graphs.add().signature_def["predict"]
    for output in outputs:
        signature.outputs[output].name = f"{output}:0"
    (version / "saved_model.pb").write_bytes(saved.SerializeToString())
    return path


CHOICE = "{from: y, kind: class, classes: [a, b]}"


@pytest.mark.parametrize(
    ("outputs", "classes", "label", "says"),
    [
        (["value"], None, CHOICE, "of kind regression, and this file has one of kind class"),
        (["label", "score", "classes", "scores"], ["b", "a"], CHOICE, "other classes"),
        (["label", "score", "classes", "scores"], ["a", "b"], CHOICE, None),
        (["label", "score", "classes", "scores"], ["a", "b"], "{from: y, kind: class}", None),
        (["logits"], None, "{from: y, kind: class}", None),
    ],
)  # fmt: skip
def test_a_serving_model_that_answers_another_label_is_a_warning(
    tmp_path: Path, outputs: list[str], classes: list[str] | None, label: str, says: str | None
) -> None:
    path = _served(write(tmp_path, example_data.record(image=PHOTO, x=1, y=1)), outputs)
    path.write_text(path.read_text().replace("{from: y, kind: class}", label))
    version = tmp_path / "serving" / "3"
    digest = hashlib.sha256(json.dumps(classes).encode()).hexdigest() if classes else None
    (version / "assets.extra" / "meanings.json").write_text(json.dumps({"classes": digest}))
    _, _, warnings = check(path)
    assert [(warning.line, warning.key) for warning in warnings] == ([(7, "serving.destination")] if says else [])
    assert all(
        f"{version}: the model in serving" in warning.message and says in warning.message for warning in warnings
    )


@pytest.mark.parametrize("content", [b"{", b"\xff", b"[]", b""])
def test_meanings_that_cannot_be_read_are_unknown(tmp_path: Path, content: bytes) -> None:
    path = _served(write(tmp_path, example_data.record(image=PHOTO, x=1, y=1)), ["label", "score", "classes", "scores"])
    path.write_text(path.read_text().replace("{from: y, kind: class}", CHOICE))
    (tmp_path / "serving" / "3" / "assets.extra" / "meanings.json").write_bytes(content)
    assert check(path)[2] == []


def test_a_serving_model_of_a_kind_that_was_added_answers_its_own_label(tmp_path: Path, monkeypatch) -> None:
    path = _served(write(tmp_path, example_data.record(image=PHOTO, x=1, y=1)), ["value"])
    kinds = {**ANSWERS.by_kind, "count": ANSWERS.of("regression")}  # as docs/new-label-kind.md adds it
    monkeypatch.setattr("hubline.pipeline.looks.serving.ANSWERS", replace(ANSWERS, by_kind=kinds))
    (file, _, (warning,)) = check(path)
    assert "answers a label of kind regression or count, and this file has one of kind class" in warning.message
    label = file.label.model_copy(update={"kind": "count"})
    assert not list(serving.the_serving_model_answers_the_label(file.serving, label))


def test_a_file_that_asks_a_pushed_model_has_no_features(tmp_path: Path) -> None:
    example_data.write_tfrecord(tmp_path / "data" / "a", [example_data.record(x=1.0)])
    (tmp_path / "serving" / "1").mkdir(parents=True)
    (tmp_path / "serving" / "1" / "saved_model.pb").write_bytes(b"")
    path = tmp_path / "infer.yaml"
    path.write_text(
        "task: infer\nname: ask\ndata: {examples: data}\nmodel: {from: serving}\n"
        "predictions: {destination: out, format: tfrecord}\n"
    )
    file, _, warnings = check(path)
    assert isinstance(file, InferFile) and not warnings


def test_a_run_shows_what_check_warns_of(tmp_path: Path, monkeypatch, capfd) -> None:
    def full(file) -> None:
        raise UserError("the disk is full")

    monkeypatch.setattr("hubline.pipeline.run.pin", full)  # the run's first step, before TFX is imported
    path = _served(write(tmp_path, example_data.record(image=PHOTO, x=1, y=1)), ["value"])
    _, code = run(path, None, quiet=False)
    (warning,) = check(path)[2]
    shown = capfd.readouterr().out
    assert code == 2 and shown.index(f"Warning: {warning}") < shown.index("the disk is full")


@pytest.mark.parametrize(
    ("mask", "says"),
    [
        (example_data.image_bytes(np.zeros([32, 32], np.uint8)), None),
        (mask_bytes(np.zeros([32, 32], np.uint8), palette=True), None),
        (PHOTO, "is a PNG in color; a mask is a PNG, grey or with a palette"),
        (example_data.random_image(0, form="JPEG"), "is no PNG"),
        (b"no image", "is not a JPEG"),
    ],
)
def test_masks_are_grey_or_have_a_palette(tmp_path: Path, mask: bytes, says: str | None) -> None:
    path = write(tmp_path, example_data.record(image=PHOTO, x=1, y=mask))
    text = path.read_text().replace("{from: y, kind: class}", "{from: y, kind: pixels, image: photo, classes: [a, b]}")
    path.write_text(text)
    found = messages(path).get("label.from", "")
    assert says in found if says else not found


@pytest.mark.slow
def test_modules_with_arguments_and_modules_that_are_asked_are_looked_at(tmp_path: Path) -> None:
    mean_colour(tmp_path / "module")
    path = write(tmp_path, example_data.record(image=PHOTO, x=1, y=1))
    hubs = "hubs: {net: {handle: module, inputs: {images: photo}, arguments: {zoom: 2}}}\n"
    text = (
        path.read_text().replace("[32, 32]", "[8, 8]").replace("backbones: {net: {kind: lenet5, input: photo}}\n", hubs)
    )
    path.write_text(text)
    assert "takes no argument 'zoom'" in messages(path)["hubs.net"]
    path.write_text(text.replace(", arguments: {zoom: 2}", ""))
    assert messages(path) == {}
    path.write_text(
        "task: infer\nname: ask\ndata: {examples: data}\nfeatures: {photo: {kind: image, from: image, size: [9, 9]}}\n"
        "hubs: {net: {handle: module, inputs: {images: photo}}}\npredictions: {destination: out, format: tfrecord}\n"
    )
    assert "takes float32[?, 8, 8, 3], but the feature 'photo' gives float32[?, 9, 9, 3]" in messages(path)["hubs.net"]
