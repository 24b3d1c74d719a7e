"""What `hubline check` sees in data and paths before anything runs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import tensorflow as tf

from hubline.components.example_gen.first_record import columns_of_first_record
from hubline.pipeline import preflight as preflight_module
from hubline.pipeline.diagnostics import PipelineFileError
from hubline.pipeline.load import load
from hubline.pipeline.preflight import preflight
from tests.support import example_data

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
        preflight(*load(path))
    except PipelineFileError as error:
        return {diagnostic.key: diagnostic.message for diagnostic in error.diagnostics}
    return {}


PHOTO = example_data.random_image(0)


@pytest.mark.parametrize(
    ("columns", "key", "says"),
    [
        (
            {"image": PHOTO, "Y": 1},
            "label",
            "the first record has no label 'y'; did you mean 'Y'?",
        ),
        ({"image": PHOTO, "y": tf.train.Feature()}, "label", "the label 'y' of the first record is empty"),
        (
            {"images": PHOTO, "y": 1},
            "features.photo",
            "has no image 'image'; did you mean 'images'?",
        ),
        ({"image": PHOTO, "y": 1}, None, ""),
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
    for called in (preflight_module.find, preflight_module.columns_of_first_record):

        def counted(*given, _called=called, **options):
            calls.append(_called.__name__)
            return _called(*given, **options)

        monkeypatch.setattr(preflight_module, called.__name__, counted)
    path = write(tmp_path, example_data.record(other=PHOTO))
    crop = "backbones: {one: {kind: lenet5, input: crop}, "
    text = path.read_text().replace("features: {", "features: {crop: {kind: image, size: [32, 32], from: image}, ")
    path.write_text(text.replace("backbones: {", crop))
    assert messages(path).keys() == {"features.photo", "features.crop", "label"}
    assert sorted(calls) == ["columns_of_first_record", "find"]


def test_records_that_may_be_quarantined_are_not_judged_by_the_first(tmp_path: Path) -> None:
    assert messages(write(tmp_path, example_data.record(x=1), more=", bad_records: {policy: quarantine}")) == {}


def test_the_columns_of_a_record_are_those_that_tensorflow_reads(tmp_path: Path) -> None:
    record = example_data.record(a=example_data.feature(1, 2, 3), b="text", c=0.5, d=tf.train.Feature())
    path = example_data.write_tfrecord(tmp_path / "x", [record, example_data.record(e=1)])
    assert columns_of_first_record(str(path)) == {"a": 3, "b": 1, "c": 1, "d": 0}
    steps = example_data.write_tfrecord(tmp_path / "s", [example_data.sequence(record, steps=4)])
    assert columns_of_first_record(str(steps)) == {"a": 3, "b": 1, "c": 1, "d": 0, "steps": 4}


@pytest.mark.parametrize("content", [b"", b"short", b"\xff" * 64, b"\x1f\x8b\x08 no gzip", b"\x08" + b"\0" * 40])
def test_what_is_no_tfrecord_file_is_left_to_ingestion(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x").write_bytes(content)
    assert not columns_of_first_record(str(tmp_path / "x"))


def test_a_link_that_leads_nowhere_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, example_data.record(image=PHOTO, y=1))
    (tmp_path / "data" / "b.tfrecord").symlink_to(tmp_path / "gone")
    assert messages(path) == {
        "data.examples": f"{tmp_path}/data/b.tfrecord: a broken link to {tmp_path}/gone; remove or repair the link"
    }


@pytest.mark.slow
def test_a_file_whose_name_is_not_utf_8_is_named_without_a_fault(tmp_path: Path) -> None:
    path = write(tmp_path, example_data.record(image=PHOTO, y=1))
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
    found = messages(write(tmp_path / name, example_data.record(image=PHOTO, y=1)))
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
