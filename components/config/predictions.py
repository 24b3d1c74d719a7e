"""Types of the `model` and `predictions` sections of a pipeline file with `task: infer`."""

from typing import Literal

from pydantic import Field

from hubline.core.config_base import FilePath, Section


class PushedModel(Section):
    """A model that a pipeline pushed."""

    folder: FilePath = Field(alias="from", min_length=1, examples=["serving"])
    """A serving folder, whose newest version is used, or the folder of one version."""


class Predictions(Section):
    """Where predictions are written, and in what form."""

    destination: FilePath = Field(min_length=1, examples=["predictions"])
    """Folder for the predictions; each run writes a new version, a subfolder named by an integer."""
    format: Literal["jsonl", "tfrecord"] = "jsonl"
    """`jsonl` writes JSON lines, `tfrecord` TFRecords of tf.Examples."""
    labels: FilePath | None = Field(default=None, examples=["labels.txt"])
    """For hub modules: a file with the class names, one per line. For a detector, the first line is class 1."""
    top: int | None = Field(default=None, ge=1)
    """For hub modules that return class scores: number of top classes to write per record. Default: 5 if `labels` or a
    `label` is given."""
    min_score: float | None = Field(default=None, ge=0.0, le=1.0)
    """For object detectors: lowest score to write. Default: 0.5."""
    key: str | None = Field(default=None, min_length=1, examples=["id"])
    """Column to copy into each prediction as its key."""
    batch_size: int = Field(default=64, ge=1)
    """Records per call of the model."""
