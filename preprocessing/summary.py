"""Summaries of transformed features and labels: of a batch in the graph, and merged over batches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping

import numpy as np
import tensorflow as tf
import tensorflow_transform as tft

from hubline.core import interruption
from hubline.core.config_base import Section
from hubline.preprocessing.columns import ParsingSpec, present
from hubline.preprocessing.config import Features, Label
from hubline.preprocessing.feature_columns import refers_to_feature
from hubline.preprocessing.kinds.kind import CategoryKind, Values
from hubline.preprocessing.labels.label import LABEL

_COUNTED = 10_000
"""Maximum number of categories of a feature, or classes of a label, that are counted individually; with more, none
is."""
_SAMPLE = 20
"""Unknown values of a feature that are kept as examples."""
_EXTREMES = 5
"""Smallest and largest distinct values of a column that are kept."""


class Extremes(Section):
    """The five smallest and the five largest distinct values of a column, with the number of values equal to each. A
    column of fewer than ten distinct values has all of them here."""

    least: tuple[tuple[float, int], ...] = ()
    """Ascending."""
    greatest: tuple[tuple[float, int], ...] = ()
    """Descending."""

    @property
    def has_few(self) -> bool:
        """Whether the column has fewer than ten distinct values."""
        return len({value for value, _ in (*self.least, *self.greatest)}) < 2 * _EXTREMES

    @classmethod
    def of(cls, values: np.ndarray) -> Extremes:
        """Extremes of numbers, [n]."""
        distinct, counts = np.unique(values, return_counts=True)
        pairs = tuple(zip(distinct.tolist(), counts.tolist(), strict=True))
        return cls(least=pairs[:_EXTREMES], greatest=pairs[::-1][:_EXTREMES])

    def merged(self, other: Extremes) -> Extremes:
        """Merges two sets of extremes: an extreme value of the union is extreme in one of the sets."""
        least = Counter(dict(self.least)) + Counter(dict(other.least))
        greatest = Counter(dict(self.greatest)) + Counter(dict(other.greatest))
        return Extremes(
            least=tuple(sorted(least.items())[:_EXTREMES]),
            greatest=tuple(sorted(greatest.items(), reverse=True)[:_EXTREMES]),
        )


class FeatureSummary(Section):
    """Summary of one feature over the records of a split."""

    given: int = 0
    """Records with a value in the feature's column."""
    known: int = 0
    """Records with a value that the feature knows."""
    several: int = 0
    """Records with more than one value in the column."""
    categories: dict[int, int] | None = None
    """Number of values of each category that occurs; None if there are too many categories, or none."""
    unknown: tuple[str, ...] = ()
    """Examples of values from records without a known value."""

    def merged(self, other: FeatureSummary) -> FeatureSummary:
        both = None if self.categories is None else Counter(self.categories) + Counter(other.categories or {})
        return FeatureSummary(
            given=self.given + other.given,
            known=self.known + other.known,
            several=self.several + other.several,
            categories=dict(both) if both is not None else None,
            unknown=tuple(dict.fromkeys(self.unknown + other.unknown))[:_SAMPLE],
        )


class Summary(Section):
    """Summary of the records of a split."""

    records: int = 0
    features: dict[str, FeatureSummary] = {}
    """By feature with a raw column of its own that contains no images."""
    columns: dict[str, Extremes] = {}
    """By numeric raw column."""
    classes: dict[int, int] | None = None
    """Records of each class number, -1 for unknown classes; None if the label has no classes."""
    targets: Extremes = Extremes()
    """For a numeric label."""

    def merged(self, other: Summary) -> Summary:
        """Merges the summaries of two sets of records with the same features."""
        if not self.records:
            return other
        classes = None if self.classes is None else dict(Counter(self.classes) + Counter(other.classes or {}))
        return Summary(
            records=self.records + other.records,
            features={name: each.merged(other.features[name]) for name, each in self.features.items()},
            columns={name: each.merged(other.columns[name]) for name, each in self.columns.items()},
            classes=classes,
            targets=self.targets.merged(other.targets),
        )


class Summarizer:
    """Summarizes serialized records, a batch at a time; traced once."""

    def __init__(self, features: Features, label: Label, transform: tft.TFTransformOutput, spec: ParsingSpec) -> None:
        """Prepares for records of one schema.

        Args:
            features: The features.
            label: The label.
            transform: The transform graph.
            spec: Parsing spec of the raw columns that the graph reads.
        """
        self._features = {name: each for name, each in features.items() if own_column(name, features) in spec}
        self._columns = {name: own_column(name, features) or "" for name in self._features}
        amounts = [column for name, column in self._columns.items() if "float" in features[name].takes]
        self._numbers = [column for column in dict.fromkeys(amounts) if spec[column].dtype != tf.string]
        self._sizes = {
            name: (each.known_size(name, transform), each.size(name, transform))
            for name, each in self._features.items()
            if isinstance(each, CategoryKind) and isinstance(each.inputs(name)[name], tf.SparseTensorSpec)
        }
        self._has_classes = label.has_classes
        layer = transform.transform_features_layer()
        self._counts = tf.function(
            lambda serialized: self._of_batch(tf.io.parse_example(serialized, spec), layer),
            [tf.TensorSpec([None], tf.string)],
            autograph=False,
        )

    def summarize(self, batches: Iterable[tf.Tensor]) -> Summary:
        """Summary of batches of serialized records, each string [batch]."""
        summary = Summary()
        for serialized in batches:
            interruption.check()
            summary = self.add(summary, serialized)
        return summary

    def add(self, summary: Summary, serialized: tf.Tensor) -> Summary:
        """Adds a batch of serialized records, string [batch], to a summary."""
        found = {name: value.numpy() for name, value in self._counts(serialized).items()}
        batch = Summary(
            records=int(serialized.shape[0]),
            features={name: self._feature(name, found) for name in self._features},
            columns={column: Extremes.of(found[f"numbers/{column}"]) for column in self._numbers},
            classes=_counted(found["label"]) if self._has_classes else None,
            targets=Extremes() if self._has_classes or "label" not in found else Extremes.of(found["label"]),
        )
        return summary.merged(batch)

    def _feature(self, name: str, found: Mapping[str, np.ndarray]) -> FeatureSummary:
        given, known, several = found[f"counts/{name}"].tolist()
        categories = found.get(f"categories/{name}")
        return FeatureSummary(
            given=given,
            known=known,
            several=several,
            categories=None if categories is None else _counted(categories),
            unknown=tuple(dict.fromkeys(map(_text, found[f"unknown/{name}"].tolist()))),
        )

    def _of_batch(self, raw: Mapping[str, Values], layer: Callable) -> dict[str, tf.Tensor]:
        transformed = layer(dict(raw))
        found: dict[str, tf.Tensor] = {}
        for name, column in self._columns.items():
            values = present(raw[column])
            per_record = _per_record(values)
            known = per_record > 0
            if name in self._sizes:
                known_size, size = self._sizes[name]
                ids = transformed[name]
                known = _per_record(tf.sparse.retain(ids, ids.values < known_size)) > 0
                if size <= _COUNTED:
                    found[f"categories/{name}"] = ids.values
            counts = [per_record > 0, (per_record > 0) & known, per_record > 1]
            found[f"counts/{name}"] = tf.stack([tf.math.count_nonzero(each) for each in counts])
            of_unknown = tf.boolean_mask(values.values, ~tf.gather(known, values.indices[:, 0]))[:_SAMPLE]
            found[f"unknown/{name}"] = of_unknown
        for column in self._numbers:
            found[f"numbers/{column}"] = present(raw[column]).values
        label = transformed[LABEL]
        if label.dtype != tf.string:
            found["label"] = label.values if isinstance(label, tf.SparseTensor) else _first(label)
        return found


def own_column(name: str, features: Features) -> str | None:
    """The raw column that a feature is made from; None if it is made from other features."""
    column = features[name].reads(name)[0]
    return column if column == name or not refers_to_feature(column, features) else None


def _first(label: tf.Tensor) -> tf.Tensor:
    """In a class-and-box target, the box follows the class."""
    return label if label.shape.rank == 1 else label[:, 0]


def _per_record(values: tf.SparseTensor) -> tf.Tensor:
    """Number of values of each record, int64 [batch]."""
    ones = tf.ones_like(values.indices[:, 0])
    return tf.math.unsorted_segment_sum(ones, values.indices[:, 0], values.dense_shape[0])


def _counted(values: np.ndarray) -> dict[int, int]:
    found, counts = np.unique(values.astype(np.int64), return_counts=True)
    return dict(zip(found.tolist(), counts.tolist(), strict=True)) if len(found) <= _COUNTED else {}


def _text(value: bytes | float) -> str:
    return value.decode(errors="backslashreplace") if isinstance(value, bytes) else f"{value:g}"
