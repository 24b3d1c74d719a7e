"""Rules that a kind of label imposes on the rest of the pipeline file."""

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
    """Errors for settings that are only valid for segmentation."""
    for name in (name for name, hub in file.hubs.items() if hub.outputs):
        yield f"hubs.{name}.outputs is for a label of pixels; for one of {file.label.kind}, `output` names one"
    if file.model.head.channels:
        yield f"model.head.channels is for a label of pixels; one of {file.label.kind} has `hidden`"


@dataclass(frozen=True)
class LabelRules:
    """Rules that a kind of label imposes on the rest of the pipeline file. `Any` stands for the label's own type."""

    training_mistake: Callable[[Any, Training, Features], str | None] = _no_mistake
    """Returns the error in `training` for the label, if any."""
    mistakes: Callable[[PipelineFile], Iterable[str]] = no_feature_maps
    """Yields errors in hubs, backbones, features and head for the label."""
    targets: str = "targets"
    """What the label marks in an image, such as `boxes`, for messages."""
