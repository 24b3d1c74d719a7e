"""Types of `data.split`."""

from __future__ import annotations

from pydantic import Field, model_validator

from hubline.artifacts.splits import ALL, SPLITS
from hubline.core.config_base import Section, is_remote, normalized


class HashSplit(Section):
    """Relative sizes of the splits. Records are assigned by a hash of their content, so each record stays in its split
    from run to run; with `group`, by a hash of that column's value."""

    train: int = Field(default=8, ge=1, le=1_000_000)
    """Relative size of the training split."""
    validation: int = Field(default=1, ge=1, le=1_000_000)
    """Relative size of the validation split, which training monitors."""
    test: int = Field(default=1, ge=1, le=1_000_000)
    """Relative size of the test split, which decides the blessing."""
    group: str | None = Field(default=None, min_length=1, examples=["patient_id"])
    """Column whose value says which records belong together, such as those of a patient: records with the same value
    are in the same split, also in later spans. Each record needs one value, a text or an integer. Default: each record
    is on its own."""
    stratify: str | None = Field(default=None, min_length=1, examples=["species"])
    """Column of classes, mostly that of the label. Each class is split in these sizes exactly, up to rounding, with at
    least one record in the test split from two records on, and one in each split from three on; bad records don't
    count. Each record needs one value, a text or an integer. Default: each class is split in these sizes on average.
    Not with `group`, and not for data in spans, whose records keep their split when a span is added."""

    @model_validator(mode="after")
    def _one_column(self) -> HashSplit:
        if self.group is not None and self.stratify is not None:
            raise ValueError("group and stratify exclude each other: groups can't be split in exact sizes; remove one")
        return self

    @property
    def column(self) -> str | None:
        """The column that has a part in the assignment, if any."""
        return self.group or self.stratify

    def patterns(self, examples: str) -> dict[str, str]:
        """The one pattern of all files, under the key `ALL`."""
        return {ALL: examples}


class PatternSplit(Section):
    """One file pattern per split, relative to the `examples` folder. Patterns may contain spans; all splits use the
    same placeholders or none."""

    train: str = Field(min_length=1, examples=["train-*.tfrecord.gz"])
    """Pattern of the training split."""
    validation: str = Field(min_length=1, examples=["validation-*.tfrecord.gz"])
    """Pattern of the validation split, which training monitors."""
    test: str = Field(min_length=1, examples=["test-*.tfrecord.gz"])
    """Pattern of the test split, which decides the blessing."""

    def patterns(self, examples: str) -> dict[str, str]:
        """The pattern of each split; a relative pattern is resolved against the folder `examples`."""
        given = {split: getattr(self, split) for split in SPLITS}
        absolute = {split: pattern.startswith("/") or is_remote(pattern) for split, pattern in given.items()}
        joined = {
            split: given[split] if absolute[split] else f"{examples.rstrip('/')}/{given[split]}" for split in SPLITS
        }
        return {split: normalized(pattern) if is_remote(pattern) else pattern for split, pattern in joined.items()}
