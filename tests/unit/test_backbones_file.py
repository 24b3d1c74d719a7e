"""Backbones in the pipeline file, and the errors that `hubline check` finds."""

from pathlib import Path

import pytest

from hubline.pipeline.diagnostics import PipelineFileError
from hubline.pipeline.load import load
from hubline.pipeline.preflight import check
from hubline.trainer.kept import Kept
from hubline.trainer.phases import kept_for, phases, stays_frozen

TEXT = """\
name: tiny
data: {examples: data}
features:
  photo: {kind: image, size: [64, 48]}
label: {from: label, kind: class, classes: [cat, dog]}
backbones:
  net: {kind: lenet5, input: photo}
training: {epochs: 4}
serving: {destination: serving}
"""
BUILDER = '{kind: builder, call: "models.small:build", inputs: {x: photo}}'
NET = "{kind: keras_application, name: MobileNetV2, weights: net.h5, input: photo}"


def changed(*changes: tuple[str, str]) -> str:
    text = TEXT
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return text


def diagnostics(folder: Path, text: str, look: bool = False) -> list[tuple[int, str, str]]:
    path = folder / "pipeline.yaml"
    path.write_text(text)
    try:
        check(path, look=look)
    except PipelineFileError as error:
        return [(diagnostic.line, diagnostic.key, diagnostic.message) for diagnostic in error.diagnostics]
    return []


@pytest.mark.parametrize(
    "changes",
    [
        [],
        [("{kind: lenet5, input: photo}", NET)],
        [("{kind: lenet5, input: photo}", BUILDER)],
        [("training:", "model: {fine_tune: {net: {after_epochs: 2, last: 1}}}\ntraining:")],
        [
            ("{kind: lenet5, input: photo}", NET),
            ("size: [64, 48]", "size: [64, 48], value_range: [-1, 1]"),
            ("training:", "  own: {kind: resnet34, input: photo}\ntraining:"),
        ],
    ],
)
def test_files_without_a_mistake(tmp_path: Path, changes: list) -> None:
    assert diagnostics(tmp_path, changed(*changes)) == []


@pytest.mark.parametrize(
    ("old", "new", "key", "says"),
    [
        ("lenet5", "lenet", "backbones.net.kind", "'lenet' is not known here; did you mean 'lenet5'?"),
        ("input: photo", "input: foto", "backbones.net.input", "there is no feature 'foto'"),
        ("input: photo", "inputs: photo", "backbones.net.inputs", "did you mean 'input'?"),
        ("lenet5, input: photo", "lenet5, input: photo, depth: 3", "backbones.net.depth", "unknown key"),
        ("{kind: lenet5, input: photo}", NET.replace("V2", "V22"), "backbones.net.name", "mean 'MobileNetV2'?"),
        ("{kind: lenet5, input: photo}", NET.replace("net.h5", "imagenet"), "backbones.net.weights", "downloads no"),
        ("{kind: lenet5, input: photo}", NET.replace("weights: net.h5, ", ""), "backbones.net.weights", "missing"),
        ("{kind: lenet5, input: photo}", NET.replace("net.h5", "[1]"), "backbones.net.weights", ""),
        ("{kind: lenet5, input: photo}", BUILDER.replace(":build", ""), "backbones.net.call", "does not have the form"),
        ("lenet5", "alexnet", "backbones.net.input", "images of at least 63 x 63; 'photo' is 64 x 48"),
        ("{kind: lenet5, input: photo}", "{kind: lenet5, input: note}", "backbones.net.input", "no feature 'note'"),
        ("size: [64, 48]", "size: [9, 48]", "backbones.net.input", "at least 16 x 16; 'photo' is 9 x 48"),
        ("training: {", "training: {augment: [flip_up_down], cache_views: 2, ", "training.cache_v", "for hub modules"),
        ("backbones:", "hubs: {net: {handle: net, inputs: {x: photo}}}\nbackbones:", "backbones.net", "is a hub modu"),
        ("training:", "model: {fine_tune: {nett: {}}}\ntraining:", "model.fine_tune.nett", "the backbones are: net"),
        ("  net: {kind: lenet5, input: photo}\n", "", "backbones", ""),
        ("backbones:\n  net: {kind: lenet5, input: photo}\n", "", "features", "there are neither hubs nor backbones"),
    ],
)  # fmt: skip
def test_a_mistake_says_where_it_is_and_what_would_be_right(
    tmp_path: Path, old: str, new: str, key: str, says: str
) -> None:
    found = diagnostics(tmp_path, changed((old, new)))
    assert any(at.startswith(key) and says in message for _, at, message in found), found


def test_what_scales_pixels_itself_is_fed_no_range_of_another(tmp_path: Path) -> None:
    text = changed(("{kind: lenet5, input: photo}", NET), ("size: [64, 48]", "size: [64, 48], value_range: [-1, 1]"))
    ((_, key, message),) = diagnostics(tmp_path, text)
    assert key == "features.photo.value_range"
    assert "the backbone 'net' scales the pixels of 'photo' in its own way; leave value_range out" in message
    ((_, _, message),) = diagnostics(tmp_path, text.replace("value_range: [-1, 1]", "standardize: per_image"))
    assert "the backbone 'net' scales the pixels of 'photo' in its own way; leave standardize out" in message
    ((_, _, message),) = diagnostics(tmp_path, text.replace(", value_range: [-1, 1]", ", channels: 1"))
    assert "'net' takes images of 3 channels; 'photo' has 1" in message
    v3 = text.replace("MobileNetV2", "MobileNetV3Small, include_preprocessing: false")
    assert diagnostics(tmp_path, v3) == []


def test_what_backbones_are_made_from_is_looked_for(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.tfrecord").write_bytes(b"")
    text = changed(("{kind: lenet5, input: photo}", NET), ("training:", f"  own: {BUILDER}\ntraining:"))
    assert [(line, key) for line, key, _ in diagnostics(tmp_path, text, look=True)] == [
        (7, "backbones.net.weights"),
        (8, "backbones.own.call"),
    ]
    (tmp_path / "net.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "small.py").write_text("def built(): pass")
    ((line, _, message),) = diagnostics(tmp_path, text, look=True)
    assert line == 8 and message.endswith("models/small.py: there is no function 'build' in it")
    (tmp_path / "models" / "small.py").write_text("from .parts import build")
    assert diagnostics(tmp_path, text, look=True) == []
    remote = text.replace("net.h5", "gs://bucket/net.h5")
    (tmp_path / "net.h5").unlink()
    assert diagnostics(tmp_path, remote, look=True) == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ([], [(0, 4, {"net"})]),
        ([("training:", "model: {fine_tune: {net: {after_epochs: 3}}}\ntraining:")], [(0, 3, set()), (3, 4, {"net"})]),
        ([("{kind: lenet5, input: photo}", NET.replace("}", ", trainable: false}"))], [(0, 4, set())]),
    ],
)
def test_which_epochs_train_a_backbone(tmp_path: Path, changes: list, expected: list) -> None:
    assert diagnostics(tmp_path, changed(*changes)) == []
    file, _ = load(tmp_path / "pipeline.yaml")
    found = phases(file.model, file.training, file.backbones)
    assert [(phase.first, phase.end, phase.tuned) for phase in found] == expected
    assert not any(phase.on_vectors for phase in found), "what a backbone gives is not kept"
    assert kept_for(file.model, file.training, file.backbones) == Kept(views=0, splits=())
    assert not stays_frozen(file.model, file.training, file.backbones)
