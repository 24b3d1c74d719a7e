"""The section `training` of the pipeline file, and its relation to label and hub modules."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from hubline.core.errors import library_reason
from hubline.pipeline.diagnostics import PipelineFileError
from hubline.pipeline.load import load
from hubline.trainer.config.length import Pace, Steps
from hubline.trainer.config.optimizer import Optimizer
from hubline.trainer.config.training import EarlyStopping, Training
from hubline.trainer.optimizers import optimizer

FILE = """\
name: tiny
data: {{examples: data/*.gz, split: {{train: 8, validation: 1, test: 1}}}}
features:
  photo: {{kind: image, from: jpg, size: [64, 48]}}
label: {label}
hubs:
  net: {{handle: modules/net, inputs: {{images: photo}}{net}}}
{hubs}
training: {training}
serving: {{destination: serving}}
"""
CLASS = "{from: label, kind: class}"
BOX = "{kind: class_and_box, from: names, box: boxes, image: photo}"
PIXELS = "{kind: pixels, from: mask, image: photo, classes: [sky, road]}"


def file_of(folder: Path, training: str, label: str = CLASS, hubs: str = "", net: str = ""):
    path = folder / "pipeline.yaml"
    path.write_text(FILE.format(label=label, training=training, hubs=hubs, net=net))
    return load(path)[0]


def diagnostic(folder: Path, *described: str, **more: str) -> tuple[str, str]:
    with pytest.raises(PipelineFileError) as caught:
        file_of(folder, *described, **more)
    ((_, key, message),) = [(one.line, one.key, one.message) for one in caught.value.diagnostics]
    return key, message


@pytest.mark.parametrize(
    ("said", "stopping"),
    [
        ("3", EarlyStopping(patience=3)),
        ("{patience: 4, monitor: val_accuracy}", EarlyStopping(patience=4, monitor="val_accuracy")),
        ("null", None),
    ],
)
def test_early_stopping_is_a_number_or_a_section(tmp_path: Path, said: str, stopping: EarlyStopping | None) -> None:
    training = file_of(tmp_path, f"{{epochs: 5, early_stopping: {said}}}").training
    assert training.early_stopping == stopping
    assert Training.model_validate_json(training.to_property()) == training


@pytest.mark.parametrize(
    ("label", "says"),
    [
        (CLASS, "a label of kind class has no mean_iou; it has accuracy, cross_entropy, auc"),
        ("{from: price, kind: regression}", "a label of kind regression has no mean_iou"),
    ],
)
def test_early_stopping_watches_a_metric_of_the_label(tmp_path: Path, label: str, says: str) -> None:
    key, message = diagnostic(tmp_path, "{epochs: 5, early_stopping: {monitor: val_mean_iou}}", label)
    assert key == "training.early_stopping.monitor" and says in message
    file_of(tmp_path, "{epochs: 5, early_stopping: {monitor: val_mean_iou}}", BOX)


@pytest.mark.parametrize(
    ("label", "training", "at", "says"),
    [
        (CLASS, "best: val_mae", "best", "a label of kind class has no mae; it has accuracy, cross_entropy, auc"),
        (CLASS, "best: val_loss, early_stopping: 2", "", "remove best, and set early_stopping.monitor"),
        (CLASS, "loss: mse", "loss", "mse is no loss of kind class; use cross_entropy or focal"),
        (BOX, "loss: focal", "loss", "a label of kind class_and_box has a loss of its own"),
        ("{from: price, kind: regression}", "loss: focal", "loss", "use mse or mae or huber or asymmetric"),
        (
            "{from: tags, kind: multilabel}",
            "class_weights: balanced, loss: {kind: custom, call: 'a:b'}",
            "class_weights",
            "a loss of your own has one value per record",
        ),
        (CLASS, "loss: {kind: custom, call: 'a.b'}", "loss.call", ""),
        (CLASS, "loss: hinge", "loss.kind", "'hinge' is not known here"),
        (CLASS, "loss: {kind: asymmetric, over: 2, under: 2}", "loss", "the loss is symmetric; use mae"),
        (CLASS, "ema: 1", "ema", "less than 1"),
        (CLASS, "l2: -1", "l2", "greater than 0"),
    ],
)
def test_an_option_that_does_not_fit_is_refused_with_its_key(
    tmp_path: Path, label: str, training: str, at: str, says: str
) -> None:
    key, message = diagnostic(tmp_path, f"{{epochs: 5, {training}}}", label)
    assert key == f"training.{at}".rstrip(".") and says in message


@pytest.mark.parametrize(
    ("said", "norm"), [("{}", 1.0), ("{global_clipnorm: 0.5}", 0.5), ("{global_clipnorm: null}", None)]
)
def test_gradients_are_clipped_unless_null_says_otherwise(tmp_path: Path, said: str, norm: float | None) -> None:
    training = file_of(tmp_path, f"{{epochs: 5, optimizer: {said}}}").training
    again = Training.model_validate_json(training.to_property())
    assert again == training
    assert optimizer(again.optimizer, Pace.of(again.length, 10, 5)).global_clipnorm == norm


@pytest.mark.parametrize("norm", [-1.0, "much"])
def test_a_norm_is_a_positive_number_or_off(norm: object) -> None:
    with pytest.raises(ValidationError):
        Optimizer.model_validate({"global_clipnorm": norm})


COLOURS = "  colours: {{handle: c, role: augment, inputs: {{images: photo}}{more}}}"


@pytest.mark.parametrize(("label", "net"), [(BOX, ""), (PIXELS, ", outputs: [a, b]")])
def test_a_module_that_may_move_pixels_is_refused_for_places(tmp_path: Path, label: str, net: str) -> None:
    training = "{epochs: 1, augment: [{hub: colours}]}"
    what = "boxes" if label == BOX else "masks"
    for more, says in (("", "may move pixels"), (", moves_pixels: true", "moves pixels")):
        key, message = diagnostic(tmp_path, training, label, COLOURS.format(more=more), net)
        assert key.startswith("training.augment")
        assert f"hubs.colours {says} of 'photo', and the label's {what} would stay where they are" in message
        assert "hubs.colours.moves_pixels: false" in message
    file_of(tmp_path, training, label, COLOURS.format(more=", moves_pixels: false"), net)
    file_of(tmp_path, training, CLASS, COLOURS.format(more=""))
    _, message = diagnostic(tmp_path, "{epochs: 1}", net=", moves_pixels: false")
    assert "moves_pixels requires role: augment" in message


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("in user code:\n\n    File \"a.py\", line 3, in f\n\n    ValueError: [8] and [4].\n", "[8] and [4]."),
        ("Exception encountered.\n\nin user code:\n\n  TypeError: no\n\n\nCall arguments received:\n  a", "no"),
        ("one line\nand more", "one line"),
        ("", "ValueError"),
    ],
)  # fmt: skip
def test_the_reason_is_found_behind_a_trace(text: str, reason: str) -> None:
    assert library_reason(ValueError(text)) == reason


@pytest.mark.parametrize(
    ("training", "key", "says"),
    [
        ("epochs: 3, checkpoints: {every: {epochs: 4}}", "checkpoints.every", "so no checkpoint is saved"),
        ("steps: 99, checkpoints: {every: 100}", "checkpoints.every", "is longer than the whole training"),
        ("epochs: 3, checkpoints: {every: 0}", "checkpoints.every", "greater than or equal to 1"),
        ("epochs: 3, checkpoints: {max_to_keep: 0}", "checkpoints.max_to_keep", "greater than or equal to 1"),
        ("epochs: 3, warm_start: {from: a, except: ['(']}", "warm_start.except[0]", "not a regular expression"),
        ("epochs: 3, warm_start: {from: a, names: {x/: y}}", "warm_start", "end both 'x/' and 'y' in /"),
        ("epochs: 3, warm_start: {except: [a]}", "warm_start.from", ""),
    ],
)
def test_checkpoints_and_warm_starts_that_cannot_be_are_refused(
    tmp_path: Path, training: str, key: str, says: str
) -> None:
    found, message = diagnostic(tmp_path, f"{{{training}}}")
    assert found == f"training.{key}" and says in message


def test_the_interval_of_checkpoints_is_steps_unless_a_unit_is_given(tmp_path: Path) -> None:
    file = file_of(tmp_path, "{epochs: 3, checkpoints: {every: 500}, warm_start: {from: serving}}")
    assert file.training.checkpoints.every == Steps(steps=500)
    assert file.training.warm_start.source == "serving"
    again = Training.model_validate_json(file.training.to_property())
    assert again == file.training
    elsewhere = file_of(tmp_path, "{epochs: 3, warm_start: {from: earlier/model.ckpt-5}}")
    assert elsewhere.training.warm_start.source == f"{tmp_path}/earlier/model.ckpt-5"
