"""Backbones for images without a hub module: networks that need no download."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hubline.core.config_base import is_remote
from hubline.core.errors import UserError
from hubline.pipeline.diagnostics import nearest
from hubline.pipeline.init.column_profile import ColumnProfile
from hubline.trainer.backbones.config import APPLICATIONS, WEIGHTS, AlexNet, FromScratch, LeNet5, ResNet34

SCRATCH: dict[str, type[FromScratch]] = {"lenet5": LeNet5, "resnet34": ResNet34, "alexnet": AlexNet}
"""Networks that are always trained from random weights."""
SMALL = 40
"""Pictures whose longer side has at most so many pixels are small: LeNet-5 suits them."""
_LONGER_SIDE = {"lenet5": 32, "alexnet": 224, "resnet34": 96}
"""Longer side in pixels to which larger pictures are scaled down for a network that is trained from nothing. AlexNet's
dense layers are made for 224; a ResNet of 96 trains in minutes on a processor."""
_WITH_WEIGHTS, _WITHOUT_WEIGHTS = 224, 96
"""The same for an architecture of keras.applications; published weights were mostly trained on 224."""
_LEAST_OF_APPLICATIONS = 32


@dataclass(frozen=True)
class BackboneChoice:
    """A network that `--backbone` names."""

    kind: str
    name: str | None = None
    """Function in keras.applications."""
    weights: str | None = None
    """File with its weights, as written in the pipeline file."""

    def feature(self, column: ColumnProfile) -> dict[str, Any]:
        """The section of an image feature that feeds the network."""
        if self.kind == "keras_application":
            most, least = _WITH_WEIGHTS if self.weights else _WITHOUT_WEIGHTS, _LEAST_OF_APPLICATIONS
        else:
            most, least = _LONGER_SIDE[self.kind], SCRATCH[self.kind].least
        is_grey = column.pictures is not None and column.pictures.is_grey and self.kind in SCRATCH
        channels = {"channels": 1} if is_grey else {}
        return {"kind": "image", "size": list(column.picture_size(most, least)), **channels}

    def settings(self, feature: str) -> dict[str, Any]:
        """The backbone's section, for an image feature."""
        if self.kind != "keras_application":
            return {"kind": self.kind, "input": feature}
        frozen = {"trainable": False} if self.weights else {}
        return {
            "kind": self.kind, "name": self.name, "weights": self.weights or "none", "input": feature, **frozen
        }  # fmt: skip


def backbone_named(name: str, weights: str | None, folder: Path) -> BackboneChoice:
    """The network of that name, in any case, with or without `_`: `lenet5`, `mobilenet_v2`.

    Args:
        name: A network from scratch, or a function in keras.applications.
        weights: File with its weights, or `none`.
        folder: Folder of the pipeline file, which starts relative paths.

    Raises:
        UserError: if there is no such network, or it takes no such weights.
    """
    wanted = _plain(name)
    file = None if weights in (None, "none") else weights
    if wanted in SCRATCH:
        if file:
            raise UserError(f"--weights {file}: {wanted} is always trained from random weights; leave --weights out")
        return BackboneChoice(wanted)
    by_name = {_plain(each): each for each in APPLICATIONS}
    if wanted not in by_name:
        known = [*SCRATCH, *APPLICATIONS]
        raise UserError(f"--backbone {name}: there is no such network; {nearest(name, known)}")
    if file is None:
        return BackboneChoice("keras_application", by_name[wanted])
    if not file.endswith(WEIGHTS):
        raise UserError(f"--weights {file}: the name of a weights file ends in {', '.join(WEIGHTS)}")
    if is_remote(file):
        return BackboneChoice("keras_application", by_name[wanted], file)
    if not Path(file).is_file():
        raise UserError(f"--weights {file}: there is no such file; Hubline downloads no weights")
    return BackboneChoice("keras_application", by_name[wanted], os.path.relpath(file, folder))


def offer(column: ColumnProfile) -> str:
    """What to pass for images or sounds without a hub module, in words."""
    if column.type == "sound":
        return "pass --hub HANDLE for a hub module that takes a fixed number of samples"
    if not column.is_single:
        return "pass --hub HANDLE for a hub module of images or clips"
    pictures = column.pictures
    first = "lenet5" if pictures and max(pictures.height, pictures.width) <= SMALL else "resnet34"
    others = " or ".join(name for name in SCRATCH if name != first)
    return (
        f"pass --hub HANDLE for a hub module; or, without any download, --backbone {first} (or {others}), which is "
        "trained from random weights, or --backbone NAME --weights FILE for a network of keras.applications such as "
        "mobilenet_v2"
    )


def _plain(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "")
