"""Rules between the label and the sections that depend on its kind."""

from collections.abc import Iterator

from hubline.components.config.data import Data
from hubline.components.config.evaluation import Evaluation
from hubline.components.config.splits import HashSplit
from hubline.core.config_errors import PlacedError
from hubline.pipeline.rules.rule import holds_for_parts
from hubline.preprocessing.config import Features, Label
from hubline.preprocessing.kinds.image import ImageFeature
from hubline.trainer.config.training import Training
from hubline.trainer.labels.parts import TRAINING
from hubline.trainer.metric_names import MetricName, class_fault


def the_label_is_in_an_image(label: Label, features: Features) -> Iterator[PlacedError]:
    images = [name for name, feature in features.items() if isinstance(feature, ImageFeature)]
    if label.picture is not None and label.picture not in images:
        known = ", ".join(sorted(images)) or "none"
        yield (
            ("label", "image"),
            f"there is no image feature '{label.picture}'; the image features are: {known}",
        )


@holds_for_parts
def metrics_fit_the_label(evaluation: Evaluation, label: Label) -> Iterator[PlacedError]:
    for location, message in evaluation.misfits(label.kind, label.named_classes).items():
        yield ("evaluation", *location), message


@holds_for_parts
def training_metrics_fit_the_label(training: Training, label: Label) -> Iterator[PlacedError]:
    for location, metric in training.named_metrics:
        if fault := metric_fault(metric, label):
            yield ("training", *location), fault


def metric_fault(metric: str, label: Label) -> str | None:
    """Why a metric does not exist for a label in training, as far as the pipeline file tells."""
    known = TRAINING.of(label.kind).metrics
    if MetricName.parse(metric).family not in known:
        return f"a label of kind {label.kind} has no {metric}; it has {', '.join(known)}"
    return None if label.named_classes is None else class_fault(metric, label.named_classes)


@holds_for_parts
def class_weights_fit_the_loss(training: Training, label: Label) -> Iterator[PlacedError]:
    own = training.loss is not None and training.loss.kind == "custom"
    if own and training.class_weights is not None and not label.has_one_class:
        says = "a loss of your own has one value per record, so its classes cannot be weighted; weight them in the loss"
        yield ("training", "class_weights"), says


@holds_for_parts
def the_loss_fits_the_label(training: Training, label: Label) -> Iterator[PlacedError]:
    known = TRAINING.of(label.kind).losses
    if training.loss is None or training.loss.kind in (*known, "custom"):
        return
    if known:
        fit = " or ".join((*known, "custom"))
        yield ("training", "loss"), f"{training.loss.kind} is no loss of kind {label.kind}; use {fit}"
    else:
        yield ("training", "loss"), f"a label of kind {label.kind} has a loss of its own; remove `loss`, or use custom"


@holds_for_parts
def class_weights_fit_the_label(training: Training, label: Label) -> Iterator[PlacedError]:
    weights, of_label = training.class_weights, TRAINING.of(label.kind)
    if weights is None:
        return
    if of_label.class_weighting is None:
        fit = " or ".join(kind for kind, part in TRAINING.by_kind.items() if part.class_weighting)
        yield ("training", "class_weights"), f"a label of kind {label.kind} has no class weights; they are for {fit}"
        return
    known = label.named_classes
    for name in weights if isinstance(weights, dict) else ():
        if known is not None and name not in known:
            yield (
                ("training", "class_weights", name),
                f"'{name}' is no class of the label; its classes are: {', '.join(known)}",
            )


@holds_for_parts
def the_sample_weight_fits_the_label(training: Training, label: Label) -> Iterator[PlacedError]:
    if training.sample_weight is None:
        return
    if not TRAINING.of(label.kind).takes_sample_weight:
        yield ("training", "sample_weight"), f"a label of kind {label.kind} has a loss of each pixel; remove it"
    elif training.sample_weight in label.columns:
        yield ("training", "sample_weight"), f"'{training.sample_weight}' is what the label is made from; name another"


@holds_for_parts
def the_label_is_no_group(data: Data, label: Label) -> Iterator[PlacedError]:
    group = data.split.group if isinstance(data.split, HashSplit) else None
    if group is not None and group in label.columns:
        yield (
            ("data", "split", "group"),
            f"'{group}' is what the label is made from, so that no split would have all classes; name the column of "
            "what the records belong to, such as a patient or a user",
        )


RULES = (
    the_label_is_in_an_image,
    metrics_fit_the_label,
    training_metrics_fit_the_label,
    the_loss_fits_the_label,
    class_weights_fit_the_loss,
    class_weights_fit_the_label,
    the_sample_weight_fits_the_label,
    the_label_is_no_group,
)
