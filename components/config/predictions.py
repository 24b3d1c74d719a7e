"""The types of `predict` and `predictions` in a pipeline file that infers."""

from typing import Literal

from pydantic import Field

from hubline.core.config_base import FilePath, Section


class PushedModel(Section):
    """A model that a pipeline pushed."""

    folder: FilePath = Field(alias="from", min_length=1, examples=["serving"])
    """The serving folder, whose newest version is asked, or a version's own."""


class Predictions(Section):
    """Where predictions go, and what is in them."""

    destination: FilePath = Field(min_length=1, examples=["predictions"])
    """The folder that takes them; each new version is a folder in it, named by an integer."""
    format: Literal["jsonl", "tfrecord"] = "jsonl"
    """JSON lines, or TFRecords of tf.Examples."""
    labels: FilePath | None = Field(default=None, examples=["labels.txt"])
    """Of a hub module, a file with the names of its classes, one to a line; of a detector the first is that of class
    1."""
    top: int | None = Field(default=None, ge=1)
    """Of a hub module that gives classes, how many of each record are written; 5 where there are labels."""
    min_score: float | None = Field(default=None, ge=0.0, le=1.0)
    """Of a hub module that finds things in images, what has less is left out; 0.5 where this is absent."""
    key: str | None = Field(default=None, min_length=1, examples=["id"])
    """A column to copy as the key of each record."""
    batch_size: int = Field(default=64, ge=1)
    """How many records the model is asked about at once."""
