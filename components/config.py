"""The types of `data`, `evaluation` and `serving` in the pipeline file."""

import math
from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from hubline.artifacts.pins import ALL
from hubline.components.pin.spans import SpanPattern
from hubline.core.config_base import FilePath, FilePattern, Section, has_wildcards, is_remote

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


Metric = Literal[
    "accuracy", "cross_entropy", "auc", "top_3_accuracy", "precision", "recall", "f1", "macro_f1", "exact_match",
    "rmse", "mae", "r2", "mean_iou", "iou_50", "pixel_accuracy",
]  # fmt: skip
_RANGES: dict[Metric, tuple[float, float]] = {
    "cross_entropy": (0.0, math.inf),
    "rmse": (0.0, math.inf),
    "mae": (0.0, math.inf),
    "r2": (-math.inf, 1.0),
}
"""The values that a metric can have, where it is no share from 0 to 1."""
LOWER_IS_BETTER: frozenset[Metric] = frozenset({"cross_entropy", "rmse", "mae"})

METRICS: dict[str, tuple[Metric, ...]] = {
    "class": ("accuracy", "cross_entropy", "auc", "top_3_accuracy"),
    "binary": ("accuracy", "cross_entropy", "auc", "precision", "recall", "f1"),
    "multilabel": ("f1", "macro_f1", "precision", "recall", "auc", "cross_entropy", "exact_match"),
    "regression": ("rmse", "mae", "r2"),
    "pixels": ("mean_iou", "pixel_accuracy"),
    "class_and_box": ("mean_iou", "accuracy", "iou_50", "cross_entropy", "auc", "top_3_accuracy"),
}
"""By kind of label, the metrics that it can be judged by. The first two are computed, and a model is held to the first,
where the pipeline file does not say."""


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

    metrics: tuple[Metric, ...] = Field(default=(), examples=[["accuracy", "cross_entropy"]])
    """What is computed and shown; what `thresholds` names is computed besides. A class can have accuracy,
    cross_entropy, auc and top_3_accuracy; a binary label the first three, and precision, recall and f1 of its second
    class; a multilabel f1, precision and recall over all classes together, macro_f1 and auc by class in the mean,
    cross_entropy, and exact_match, the share of records of which every class is right; a regression rmse, mae and r2. A
    class and a box can have what a class has, and mean_iou, the area that true and predicted box have in common by that
    which they cover together, in the mean over records; and iou_50, the share of records of which it is a half or more.
    Pixels can have mean_iou, the pixels that are of a class and told to be by those that are one of the two, over all
    records, in the mean of the classes; and pixel_accuracy. Where this is absent, it is accuracy and cross_entropy, of
    a multilabel f1 and macro_f1, of a regression rmse and mae, of a class and a box mean_iou and accuracy, of pixels
    both of theirs."""
    thresholds: dict[Metric, Threshold] = Field(default={}, examples=[{"accuracy": {"at_least": 0.9}}])
    """By metric. Where this is absent, the first metric of the label may not be worse than that of the version that
    serves; where it is empty, every model is blessed."""
    slices: tuple[Annotated[tuple[str, ...], Field(min_length=1)], ...] = Field(default=(), examples=[[["hour"]]])
    """Columns of the records, alone or several together, by whose values the metrics are taken apart."""
    slice_min_examples: int = Field(default=1, ge=1)
    """Slices with fewer records are shown, and held to no threshold."""
    baseline: Literal["beat", "ignore"] = "beat"
    """Whether a model must be better, beyond chance, than the best answer that is always the same: the shares of the
    training split's classes or the most frequent one, the mean or median, the median box, the most frequent class of a
    pixel. What that comes to is shown in any case."""

    def of_label(self, kind: str) -> "Evaluation":
        """The same with what is absent as it is for a kind of label."""
        first, second, *_ = METRICS[kind]
        absent = {"metrics": (first, second), "thresholds": {first: Threshold(no_worse_than_serving_by=0.0)}}
        return self.model_copy(update={key: absent[key] for key in absent.keys() - self.model_fields_set})

    def misfits(self, kind: str) -> dict[tuple[str | int, ...], str]:
        """The metrics that do not fit a kind of label, and bounds outside a metric's range: where each stands, and what
        would be right."""
        places: dict[tuple[str | int, ...], Metric] = {("metrics", n): metric for n, metric in enumerate(self.metrics)}
        places |= {("thresholds", metric): metric for metric in self.thresholds}
        fit = METRICS[kind]
        strangers = {
            place: f"{metric} does not fit a label of kind {kind}; these do: {', '.join(fit)}"
            for place, metric in places.items()
            if metric not in fit
        }
        return strangers | self._out_of_range()

    def _out_of_range(self) -> dict[tuple[str | int, ...], str]:
        """Bounds that no value of their metric reaches, or none can miss."""
        mistakes: dict[tuple[str | int, ...], str] = {}
        for metric, threshold in self.thresholds.items():
            low, high = _RANGES.get(metric, (0.0, 1.0))
            reach = "at least 0" if high == math.inf else "at most 1" if low == -math.inf else "from 0 to 1"
            for key in ("at_least", "at_most"):
                bound = getattr(threshold, key)
                if bound is not None and not low <= bound <= high:
                    share = f"; {bound:g} % is {bound / 100:g}" if reach == "from 0 to 1" and 2 <= bound <= 100 else ""
                    mistakes["thresholds", metric, key] = f"{metric} is {reach}, and {bound:g} is not{share}"
            allowed = threshold.no_worse_than_serving_by
            if reach == "from 0 to 1" and allowed is not None and allowed > 1:
                mistakes["thresholds", metric, "no_worse_than_serving_by"] = (
                    f"{metric} is {reach}, so that no model is worse by {allowed:g}"
                )
        return mistakes

    @property
    def sliced_by(self) -> list[str]:
        """The columns that `slices` names, each once."""
        return sorted({column for columns in self.slices for column in columns})


class InferenceService(Section):
    """The InferenceService of KServe that is made, or changed, to serve each version that is pushed."""

    name: str = Field(pattern=r"^[a-z]([-a-z0-9]*[a-z0-9])?$", max_length=63, examples=["taxi-tips"])
    """Its name, by which clients ask the model, too."""
    namespace: str = Field(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63, examples=["models"])
    """Its namespace."""
    models: FilePath = Field(min_length=1, examples=["gs://bucket/kserve/taxi-tips"])
    """The folder that takes a copy of each version in a folder of its own, from which KServe reads it; of this service
    alone."""
    storage_uri: str | None = Field(
        default=None, validate_default=True, pattern=r"^[a-z0-9]+://", examples=["pvc://models/taxi-tips"]
    )
    """What KServe calls the folder `models`, where that is on a volume."""
    mode: Literal["serverless", "raw"] = "serverless"
    """How KServe deploys it: as a service of Knative (Serverless, or Knative), or as a deployment of Kubernetes
    (RawDeployment, or Standard)."""
    canary_percent: int | None = Field(default=None, ge=1, le=99, examples=[10])
    """The share of the requests, in percent, that a new version answers, while the last one that had all of them
    answers the others; serverless alone. Where it is absent, all."""
    service_account: str | None = Field(default=None, min_length=1, examples=["model-reader"])
    """The service account of its pods, with which KServe reads `models`; that which it has, or the namespace's, where
    this is absent."""
    timeout_seconds: int = Field(default=600, ge=1, le=86_400)
    """For how many seconds a version may be under way until it is ready; what served before is put back then."""

    @field_validator("storage_uri")
    @classmethod
    def _can_be_read(cls, storage_uri: str | None, info: ValidationInfo) -> str | None:
        models = info.data.get("models")
        if models and storage_uri is None and not is_remote(models):
            raise ValueError(
                f"storage_uri is missing: KServe reads {models} from another machine; say what it calls that folder, "
                "such as pvc://CLAIM/FOLDER, or name a bucket in `models`"
            )
        return storage_uri

    @field_validator("canary_percent")
    @classmethod
    def _can_be_split(cls, canary_percent: int | None, info: ValidationInfo) -> int | None:
        if canary_percent is not None and info.data.get("mode") == "raw":
            raise ValueError(
                "in the mode raw KServe splits no requests between versions; leave it out, or use serverless"
            )
        return canary_percent


class Serving(Section):
    """Where blessed models go."""

    destination: FilePath = Field(min_length=1, examples=["gs://bucket/serving/model"])
    """The folder a model server watches; each version is a folder in it, named by an integer."""
    push: bool = True
    """Whether a blessed model is pushed; without, it stays among the artifacts of its run."""
    kserve: InferenceService | None = None
    """The InferenceService that serves what is pushed, where there is one."""


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
