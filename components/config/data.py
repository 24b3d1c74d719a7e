"""The types of `data` in the pipeline file."""

from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from hubline.artifacts.splits import ALL, SPLITS
from hubline.core.config_base import FilePath, FilePattern, Section, has_wildcards, is_remote
from hubline.core.spans import SpanPattern


class HashSplit(Section):
    """Shares of the records, by a hash of each record, so a record stays in its split in every run."""

    train: int = Field(default=8, ge=1, le=1_000_000)
    """What the model learns from."""
    validation: int = Field(default=1, ge=1, le=1_000_000)
    """What training is watched on."""
    test: int = Field(default=1, ge=1, le=1_000_000)
    """What the blessing rests on."""

    def patterns(self, examples: str) -> dict[str, str]:
        """The one pattern of all files, under `ALL`."""
        return {ALL: examples}


class PatternSplit(Section):
    """A file pattern for each split, counted from the `examples` folder; each may have spans, of the same sort."""

    train: str = Field(min_length=1, examples=["train-*.tfrecord.gz"])
    validation: str = Field(min_length=1)
    test: str = Field(min_length=1)

    def patterns(self, examples: str) -> dict[str, str]:
        """The pattern of each split; a relative one counts from the folder `examples`."""
        given = {split: getattr(self, split) for split in SPLITS}
        absolute = {split: pattern.startswith("/") or is_remote(pattern) for split, pattern in given.items()}
        return {
            split: given[split] if absolute[split] else f"{examples.rstrip('/')}/{given[split]}" for split in SPLITS
        }


class BadRecords(Section):
    """What becomes of records that cannot be read, break the contract of features and label, or do not decode."""

    policy: Literal["fail", "quarantine"] = "fail"
    """Stop at the first one, or set them aside with their reasons and go on."""
    max_fraction: float = Field(default=0.01, ge=0.0, le=1.0)
    """With quarantine, the greatest share of all records that may be set aside; the run stops above it."""


class Drift(Section):
    """How far the training split may be from the baseline."""

    policy: Literal["report", "fail"] = "report"
    """Show in the report which columns have drifted, or stop the run before it trains, too."""
    max_distance: float = Field(default=0.1, ge=0.0, le=1.0)
    """The limit of each column's distance: from 0 for the same distribution to 1 for values that have nothing in
    common. It holds for the change of the share of missing values, too."""
    columns: dict[str, Annotated[float, Field(ge=0.0, le=1.0)]] = Field(default={}, examples=[{"age": 0.2}])
    """Columns with a limit of their own. Those that neither features nor label read are compared where they stand
    here."""


class Data(Section):
    """Where the TFRecords are, how they are split, and what they are held to."""

    examples: FilePattern = Field(
        min_length=1, examples=["data/*.tfrecord.gz", "data/span-{SPAN}/*", "data/{YYYY}-{MM}-{DD}/v{VERSION}/*"]
    )
    """A folder, or a glob of TFRecord files of tf.Examples, GZIP or plain; with a pattern for each split, the folder
    that they count from. Data that comes in spans has {SPAN} in its path, a number, or the date {YYYY}, {MM} and {DD};
    and {VERSION} where a span may be written anew: the newest is taken. {SPAN:3} is a number of three digits."""
    split: HashSplit | PatternSplit = HashSplit()
    """Shares such as {train: 8, validation: 1, test: 1}, or one file pattern for each split."""
    window: int | None = Field(default=None, ge=1, examples=[7])
    """How many spans are taken, the newest that are there. Where it is absent, all."""
    bad_records: BadRecords = BadRecords()
    """Whether bad records stop the run or are set aside."""
    data_schema: FilePath | None = Field(default=None, alias="schema")
    """A curated schema (schema.pbtxt of TensorFlow Metadata), such as `hubline schema FILE --freeze` writes. Where it
    is absent, the schema is inferred."""
    baseline: FilePath | None = None
    """Statistics (statistics.pb of TensorFlow Data Validation) that the training split is compared with, as `hubline
    schema FILE --freeze` writes them beside the schema."""
    drift: Drift | None = None
    """How far the training split may be from the baseline."""

    @field_validator("examples")
    @classmethod
    def _span_pattern(cls, examples: str) -> str:
        SpanPattern.parse(examples)
        return examples

    @field_validator("split", mode="wrap")
    @classmethod
    def _one_sort(cls, value, _):
        # Told apart here, so that a mistake is reported for the sort that was meant and not for both.
        if isinstance(value, PatternSplit):
            return value
        texts = isinstance(value, dict) and bool(value) and all(isinstance(share, str) for share in value.values())
        return (PatternSplit if texts else HashSplit).model_validate(value)

    @field_validator("split")
    @classmethod
    def _span_patterns(cls, split: HashSplit | PatternSplit, info: ValidationInfo) -> HashSplit | PatternSplit:
        if isinstance(split, PatternSplit) and "examples" in info.data:
            _check_splits(split, info.data["examples"])
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
                "drift is from a baseline, and there is none; `hubline schema FILE --freeze` writes one and prints the "
                "line for it"
            )
        return drift

    @property
    def patterns(self) -> dict[str, str]:
        """The pattern of each split, or of all files under `ALL`."""
        return self.split.patterns(self.examples)

    @property
    def dated(self) -> bool:
        """Whether the data comes in spans that are dates."""
        return _are_dated(self.patterns.values())


class DataToInfer(Section):
    """Where the TFRecords are that a model is asked about: all of them, without splits."""

    examples: FilePattern = Field(min_length=1, examples=["data/*.tfrecord.gz", "data/{YYYY}-{MM}-{DD}/*"])
    """A folder, or a glob of TFRecord files of tf.Examples, GZIP or plain, with or without spans, as a pipeline that
    trains has it."""
    window: int | None = Field(default=None, ge=1, examples=[1])
    """How many spans are taken, the newest that are there. Where it is absent, all."""
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
        """The one pattern of all files, under `ALL`."""
        return {ALL: self.examples}

    @property
    def dated(self) -> bool:
        """Whether the data comes in spans that are dates."""
        return _are_dated(self.patterns.values())


def _check_window(patterns: Iterable[str]) -> None:
    if not any(map(SpanPattern.parse, patterns)):
        raise ValueError(
            "a window counts spans, and data.examples has none; say where a path has them, as in "
            "data/span-{SPAN}/* or data/{YYYY}-{MM}-{DD}/*"
        )


def _are_dated(patterns: Iterable[str]) -> bool:
    return any(pattern.dated for pattern in map(SpanPattern.parse, patterns) if pattern)


def _check_splits(split: PatternSplit, examples: str) -> None:
    if has_wildcards(examples):
        raise ValueError(
            f"with a pattern for each split, data.examples is the folder that they count from, and {examples} has "
            "wildcards; say the folder there, and the wildcards here"
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
        said = ", ".join(f"{name} {' '.join(sorted(placeholders))}" for name, placeholders in spanned.items())
        raise ValueError(f"the splits have spans of different sorts ({said}); they have the same, or none")
