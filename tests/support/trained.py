"""Trains a job on the devices of a section `training.devices`."""

import dataclasses
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from hubline.trainer.config.devices import Devices
from hubline.trainer.config.model import Model
from hubline.trainer.counts import holding
from hubline.trainer.fit import Fit
from hubline.trainer.job import Job
from hubline.trainer.training_notes import Note
from hubline.trainer.untrained import to_export, untrained
from hubline.trainer.variable_names import named_variables


class Trained(NamedTuple):
    """What a training came to."""

    curves: dict[str, list[float]]
    weights: dict[str, np.ndarray]
    notes: list[str]


def trained(job: Job, folder: Path, model: dict[str, Any] | None = None, /, **described: Any) -> Trained:
    """Trains on devices without an export.

    Args:
        job: The job.
        folder: Receives its checkpoints and logs.
        model: Changes of the section `model`.
        described: The section `training.devices`.
    """
    of_devices = Devices.model_validate(described)
    job = dataclasses.replace(
        job, training=job.training.model_copy(update={"devices": of_devices}), logs=str(folder / "logs"),
        model=Model.model_validate(job.model.model_dump(exclude_none=True) | (model or {})),
    )  # fmt: skip
    notes: list[Note] = []
    with tempfile.TemporaryDirectory() as scratch, holding({"train": job.train, "validation": job.validation}):
        start = untrained(job, notes)
        fit = Fit(job, start, scratch, notes, [])
        fit.train_all(str(folder / "checkpoints"))
        fit.finish()
    curves = {name: [epoch[name] for epoch in fit.history] for name in fit.history[0]}
    weights = {name: variable.numpy() for name, variable in named_variables(to_export(job, start).whole).items()}
    return Trained(curves, weights, [note.text for note in notes if note.kind == "devices"])
