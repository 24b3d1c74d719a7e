"""Rules that a kind of label imposes on the rest of the pipeline file."""

from collections.abc import Iterator
from dataclasses import dataclass

from hubline.core.config_errors import PlacedError
from hubline.pipeline.rules.rule import Rule
from hubline.preprocessing.config import Label
from hubline.trainer.config.hubs import Hubs
from hubline.trainer.config.model import Model


def modules_have_one_output(hubs: Hubs, label: Label) -> Iterator[PlacedError]:
    for name, hub in hubs.items():
        if hub.outputs:
            yield (
                ("hubs", name, "outputs"),
                f"is for a label of kind pixels; for one of kind {label.kind}, `output` names one output",
            )


def the_head_is_dense(model: Model, label: Label) -> Iterator[PlacedError]:
    if model.head.channels:
        yield (
            ("model", "head", "channels"),
            f"is for a label of kind pixels; for one of kind {label.kind}, set `hidden`",
        )


ONE_VECTOR = (modules_have_one_output, the_head_is_dense)
"""Rules of every kind of label that is predicted from one vector per example."""


@dataclass(frozen=True)
class LabelRules:
    """Rules that a kind of label imposes on the rest of the pipeline file."""

    rules: tuple[Rule, ...] = ONE_VECTOR
    targets: str = "targets"
    """What the label marks in an image, such as `boxes`, for messages."""
