"""Types of the `data` section. Parts that steps read have modules of their own, for the steps' cache keys to follow."""

import math
from collections.abc import Iterable
from typing import Any

from pydantic import Field, ValidationInfo, field_validator

from hubline.artifacts.splits import ALL
from hubline.components.config.bad_records import BadRecords
from hubline.components.config.drift import Drift
from hubline.components.config.selection import Selection, Take, Where
from hubline.components.config.splits import HashSplit, PatternSplit
from hubline.core.config_base import FilePath, FilePattern, Section, has_wildcards
from hubline.core.spans import SpanPattern


class Data(Section):
    """Where the TFRecords are, how they are split, and what they are validated against."""

    examples: FilePattern = Field(
        min_length=1, examples=["data/*.tfrecord.gz", "data/span-{SPAN}/*", "data/{YYYY}-{MM}-{DD}/v{VERSION}/*"]
    )
    """A folder or a glob of TFRecord files of tf.Examples, GZIP-compressed or plain. With a file pattern per split, the
    folder that those patterns are relative to. For data in spans, the path contains {SPAN} (a number) or the date
    {YYYY}, {MM} and {DD}; {SPAN:3} is a number of three digits. {VERSION} stands for a version of a span; the newest
    version is read."""
    split: HashSplit | PatternSplit = HashSplit()
    """Relative sizes such as {train: 8, validation: 1, test: 1}, or one file pattern per split."""
    window: int | None = Field(default=None, ge=1, examples=[7])
    """Number of most recent spans to read. Default: all spans."""
    where: Where | None = Field(default=None, examples=["year >= 2015 and company != 'Flash Cab'"])
    """Condition that records must meet: comparisons of numbers as in `label.where`, also chained (0 < a < b); of a
    column with a text in single quotes by == or !=; joined by `and`, `or`, `not` and parentheses. A record in which a
    named column has no value, or several, is left out. Default: all records."""
    take: Take | None = Field(default=None, examples=[1000, {"share": 0.1}])
    """How many of these records to take, for a quick try: a number or a share. A hash of each record decides, so the
    same ones are taken from run to run, and a smaller number takes some of those that a larger one takes. Default: all
    records."""
    bad_records: BadRecords = BadRecords()
    """Whether bad records stop the run or are quarantined."""
    data_schema: FilePath | None = Field(default=None, alias="schema")
    """A curated schema (schema.pbtxt of TensorFlow Metadata), as `hubline schema FILE --freeze` writes it. Default: the
    schema is inferred."""
    baseline: FilePath | None = None
    """Statistics (statistics.pb of TensorFlow Data Validation) to compare the training split with. `hubline schema FILE
    --freeze` writes them next to the schema.
    """
    drift: Drift | None = None
    """Drift check of the training split against the baseline."""

    @field_validator("examples")
    @classmethod
    def _span_pattern(cls, examples: str) -> str:
        SpanPattern.parse(examples)
        return examples

    @field_validator("split", mode="wrap")
    @classmethod
    def _one_sort(cls, value, _):
        # Validate against one type of split only, so that errors name the type that was meant rather than both.
        if isinstance(value, PatternSplit):
            return value
        if fractions := _as_whole(value):
            raise ValueError(f"sizes are whole numbers in proportion to each other; write {{{fractions}}}")
        shares = _shares(value)
        texts = bool(shares) and all(isinstance(share, str) for share in shares.values())
        if texts and shares != value:
            raise ValueError(
                f"{' and '.join(sorted(value.keys() - shares.keys()))} is for splits by hash; with a file pattern per "
                "split, the files decide; remove it"
            )
        return (PatternSplit if texts else HashSplit).model_validate(value)

    @field_validator("split")
    @classmethod
    def _span_patterns(cls, split: HashSplit | PatternSplit, info: ValidationInfo) -> HashSplit | PatternSplit:
        if isinstance(split, PatternSplit) and "examples" in info.data:
            _check_splits(split, info.data["examples"])
        if isinstance(split, HashSplit) and split.stratify and SpanPattern.parse(info.data.get("examples", "")):
            raise ValueError(
                "stratify is for data without spans: a new span would move records of earlier ones to other splits; "
                "remove it, and each class is split in these sizes on average, span by span"
            )
        return split

    @field_validator("window")
    @classmethod
    def _of_spans(cls, window: int | None, info: ValidationInfo) -> int | None:
        if window is not None and {"examples", "split"} <= info.data.keys():
            _check_window(info.data["split"].patterns(info.data["examples"]).values())
        return window

    @field_validator("drift")
    @classmethod
    def _from_something(cls, drift: Drift | None, info: ValidationInfo) -> Drift | None:
        if drift is not None and "baseline" in info.data and info.data["baseline"] is None:
            raise ValueError(
                "drift needs a baseline; `hubline schema FILE --freeze` writes one and prints the line to add"
            )
        return drift

    @property
    def selection(self) -> Selection:
        """Which records are ingested."""
        return Selection(where=self.where, take=self.take)

    @property
    def patterns(self) -> dict[str, str]:
        """The file pattern of each split, or the pattern of all files under `ALL`."""
        return self.split.patterns(self.examples)

    @property
    def dated(self) -> bool:
        """Whether spans are dates."""
        return _are_dated(self.patterns.values())


class DataToInfer(Section):
    """Where the TFRecords to predict on are. All records are read; there are no splits."""

    examples: FilePattern = Field(min_length=1, examples=["data/*.tfrecord.gz", "data/{YYYY}-{MM}-{DD}/*"])
    """A folder or a glob of TFRecord files of tf.Examples, GZIP-compressed or plain, with or without spans, as in a
    training pipeline."""
    window: int | None = Field(default=None, ge=1, examples=[1])
    """Number of most recent spans to read. Default: all spans."""
    bad_records: BadRecords = BadRecords()
    """Whether records that cannot be predicted on stop the run or are listed."""

    @field_validator("examples")
    @classmethod
    def _span_pattern(cls, examples: str) -> str:
        SpanPattern.parse(examples)
        return examples

    @field_validator("window")
    @classmethod
    def _of_spans(cls, window: int | None, info: ValidationInfo) -> int | None:
        if window is not None and "examples" in info.data:
            _check_window([info.data["examples"]])
        return window

    @property
    def patterns(self) -> dict[str, str]:
        """The one pattern of all files, under the key `ALL`."""
        return {ALL: self.examples}

    @property
    def dated(self) -> bool:
        """Whether spans are dates."""
        return _are_dated(self.patterns.values())


def _shares(split: Any) -> dict[str, Any]:
    """What is given for each split; empty if that is no mapping."""
    return (
        {name: share for name, share in split.items() if name not in ("group", "stratify")}
        if isinstance(split, dict)
        else {}
    )


def _as_whole(split: Any) -> str | None:
    """Sizes that are fractions as whole numbers, such as `train: 8, test: 2`; None if the sizes are something else."""
    shares = _shares(split)
    sizes = shares.values()
    if not any(isinstance(size, float) and 0 < size < 1 for size in sizes):
        return None
    if not all(isinstance(size, int | float) and 0 < size <= 1 for size in sizes):
        return None
    parts = [round(size * 1000) for size in sizes]
    divisor = math.gcd(*parts)
    if not divisor:
        return None
    whole = split | {name: part // divisor for name, part in zip(shares, parts, strict=True)}
    return ", ".join(f"{name}: {value}" for name, value in whole.items())


def _check_window(patterns: Iterable[str]) -> None:
    if not any(map(SpanPattern.parse, patterns)):
        raise ValueError(
            "a window counts spans, but data.examples has none; mark them in the path, as in "
            "data/span-{SPAN}/* or data/{YYYY}-{MM}-{DD}/*"
        )


def _are_dated(patterns: Iterable[str]) -> bool:
    return any(pattern.dated for pattern in map(SpanPattern.parse, patterns) if pattern)


def _check_splits(split: PatternSplit, examples: str) -> None:
    if has_wildcards(examples):
        raise ValueError(
            "with one pattern per split, data.examples must be the folder that the patterns are relative to, but "
            f"{examples} has "
            "wildcards; move the wildcards to the patterns"
        )
    spanned: dict[str, frozenset[str]] = {}
    mistakes: list[str] = []
    for name, text in split.patterns(examples).items():
        try:
            pattern = SpanPattern.parse(text)
        except ValueError as error:
            mistakes.append(f"{name}: {error}")
        else:
            spanned |= {name: pattern.placeholders} if pattern else {}
    if mistakes:
        raise ValueError("; ".join(mistakes))
    if len(set(spanned.values())) > 1:
        listed = ", ".join(f"{name} {' '.join(sorted(placeholders))}" for name, placeholders in spanned.items())
        raise ValueError(f"the splits use different kinds of spans ({listed}); use the same kind for all, or none")
