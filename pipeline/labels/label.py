"""What a kind of label asks of the rest of the pipeline file."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hubline.preprocessing.config import Features
from hubline.trainer.config.training import Training

if TYPE_CHECKING:
    from hubline.pipeline.config import PipelineFile


def _no_mistake(label: Any, training: Training, features: Features) -> str | None:
    return None


def no_feature_maps(file: PipelineFile) -> Iterable[str]:
    """The settings that only a label of pixels has a use for, as mistakes."""
    for name in (name for name, hub in file.hubs.items() if hub.outputs):
        yield f"hubs.{name}.outputs is for a label of pixels; for one of {file.label.kind}, `output` names one"
    if file.model.head.channels:
        yield f"model.head.channels is for a label of pixels; one of {file.label.kind} has `hidden`"


@dataclass(frozen=True)
class LabelRules:
    """What a kind of label asks of the rest of the pipeline file. `Any` stands for the label's own type."""

    training_mistake: Callable[[Any, Training, Features], str | None] = _no_mistake
    """What is wrong with `training` for the label, if anything."""
    mistakes: Callable[[PipelineFile], Iterable[str]] = no_feature_maps
    """What is wrong with hubs, backbones, features and head for the label."""
    targets: str = "targets"
    """What the label has in a picture, such as `boxes`, for messages."""
