"""The types of `data`, `evaluation` and `serving` in the pipeline file."""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from preprocessing.section import FilePath, Section

SPLITS = ("train", "validation", "test")
"""Training reads the first; early stopping and checkpoints see the second; the blessing sees only the third."""


class HashSplit(Section):
    """Shares of the records, by a hash of each record, so a record stays in its split in every run."""

    train: int = Field(default=8, ge=1, le=1_000_000)
    """What the model learns from."""
    validation: int = Field(default=1, ge=1, le=1_000_000)
    """What training is watched on."""
    test: int = Field(default=1, ge=1, le=1_000_000)
    """What the blessing rests on."""


class PatternSplit(Section):
    """A file pattern for each split, counted from the `examples` folder."""

    train: str = Field(min_length=1, examples=["train-*.tfrecord.gz"])
    validation: str = Field(min_length=1)
    test: str = Field(min_length=1)


class BadRecords(Section):
    """What becomes of records that cannot be read, break the contract of features and label, or do not decode."""

    policy: Literal["fail", "quarantine"] = "fail"
    """Stop at the first one, or set them aside with their reasons and go on."""
    max_fraction: float = Field(default=0.01, ge=0.0, le=1.0)
    """With quarantine, the greatest share of all records that may be set aside; the run stops above it."""


class Data(Section):
    """Where the TFRecords are and how they are split."""

    examples: FilePath = Field(min_length=1, examples=["data/*.tfrecord.gz"])
    """A folder, or a glob of TFRecord files of tf.Examples, GZIP or plain."""
    split: HashSplit | PatternSplit = HashSplit()
    """Shares such as {train: 8, validation: 1, test: 1}, or one file pattern for each split."""
    bad_records: BadRecords = BadRecords()
    """Whether bad records stop the run or are set aside."""
    data_schema: FilePath | None = Field(default=None, alias="schema")
    """A curated schema (schema.pbtxt of TensorFlow Metadata). Where it is absent, the schema is inferred."""

    @field_validator("split", mode="wrap")
    @classmethod
    def _one_sort(cls, value, _):
        # Told apart here, so that a mistake is reported for the sort that was meant and not for both.
        if isinstance(value, PatternSplit):
            return value
        texts = isinstance(value, dict) and bool(value) and all(isinstance(share, str) for share in value.values())
        return (PatternSplit if texts else HashSplit).model_validate(value)


Metric = Literal["accuracy", "cross_entropy", "auc", "top_3_accuracy"]
LOWER_IS_BETTER: frozenset[Metric] = frozenset({"cross_entropy"})


class Threshold(Section):
    """What a metric on the test split must reach for the model to be blessed."""

    at_least: float | None = None
    """The smallest value that passes."""
    at_most: float | None = None
    """The greatest value that passes."""
    no_worse_than_serving_by: float | None = Field(default=None, ge=0.0)
    """How much worse than the version that now serves it may be. Not applied while nothing serves."""
    every_slice: bool = False
    """Whether each slice of `evaluation.slices` is held to it too."""

    @model_validator(mode="after")
    def _says_something(self) -> "Threshold":
        if self.at_least is None and self.at_most is None and self.no_worse_than_serving_by is None:
            raise ValueError("say at_least, at_most or no_worse_than_serving_by")
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise ValueError(f"at_least ({self.at_least:g}) is above at_most ({self.at_most:g}): nothing can pass")
        return self


class Evaluation(Section):
    """How a trained model is judged, on the test split alone."""

    metrics: tuple[Metric, ...] = ("accuracy", "cross_entropy")
    """What is computed and shown; what `thresholds` names is computed besides."""
    thresholds: dict[Metric, Threshold] = Field(default={"accuracy": Threshold(no_worse_than_serving_by=0.0)})
    """By metric. Without thresholds every model is blessed."""
    slices: tuple[Annotated[tuple[str, ...], Field(min_length=1)], ...] = Field(default=(), examples=[[["hour"]]])
    """Columns of the records, alone or several together, by whose values the metrics are taken apart."""
    slice_min_examples: int = Field(default=1, ge=1)
    """Slices with fewer records are shown, and held to no threshold."""


class Serving(Section):
    """Where blessed models go."""

    destination: FilePath = Field(min_length=1, examples=["gs://bucket/serving/model"])
    """The folder a model server watches; each version is a folder in it, named by an integer."""
