"""Types of the `model` and `predictions` sections of a pipeline file with `task: infer`."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from hubline.core.config_base import FilePath, Section


class PushedModel(Section):
    """A model in serving: one that a pipeline pushed, or any SavedModel that takes serialized tf.Examples."""

    folder: FilePath = Field(alias="from", min_length=1, examples=["serving"])
    """A serving folder, whose newest version is used, or the folder of one version."""
    record_input: Literal["examples"] | None = None
    """`examples` for a model that Hubline did not export, such as one of TFX or an Estimator: a signature of it
    receives each record as it is, as a serialized tf.Example. Default: a model that Hubline exported."""
    signature: str | None = Field(default=None, min_length=1, examples=["serving_default"])
    """With `record_input`: the signature to call. Default: `serving_default`, or the only signature that takes one
    string per record."""
    allow_operations: tuple[Annotated[str, Field(min_length=1)], ...] = Field(default=(), examples=[["ReadFile"]])
    """With `record_input`: operations by which the model may reach beyond its own computation, as for hub modules."""

    @model_validator(mode="after")
    def _of_other_models(self) -> "PushedModel":
        # Compare values rather than `model_fields_set`: a section that is written out sets its defaults too.
        given = ["signature"] * (self.signature is not None) + ["allow_operations"] * bool(self.allow_operations)
        if self.record_input is None and given:
            raise ValueError(f"{' and '.join(given)} requires record_input: examples")
        return self


class Predictions(Section):
    """Where predictions are written, and in what form."""

    destination: FilePath = Field(min_length=1, examples=["predictions"])
    """Folder for the predictions; each run writes a new version, a subfolder named by an integer."""
    format: Literal["jsonl", "tfrecord"] = "jsonl"
    """`jsonl` writes JSON lines, `tfrecord` TFRecords of tf.Examples."""
    labels: FilePath | None = Field(default=None, examples=["labels.txt"])
    """For hub modules and models with `record_input`: a file with the class names, one per line. For a detector, the
    first line is class 1."""
    top: int | None = Field(default=None, ge=1)
    """For hub modules and models with `record_input` that return class scores: number of top classes to write per
    record. Default: 5 if `labels` or a `label` is given."""
    min_score: float | None = Field(default=None, ge=0.0, le=1.0)
    """For object detectors: lowest score to write. Default: 0.5."""
    key: str | None = Field(default=None, min_length=1, examples=["id"])
    """Column to copy into each prediction as its key."""
    batch_size: int = Field(default=64, ge=1)
    """Records per call of the model."""
