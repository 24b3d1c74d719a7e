"""What is true of records and what models predict, as the columns that are kept: one reader for each kind of label."""

from collections.abc import Mapping, Sequence
from itertools import chain

import numpy as np
import tensorflow as tf

from hubline.artifacts.predictions import CANDIDATE, LABEL, OBJECTS, SERVING, Predicted
from hubline.components.evaluator.exported_model import ServedModel, ServingFault
from hubline.components.evaluator.label_reader import Reader
from hubline.components.evaluator.pixel_metrics import confusion
from hubline.components.evaluator.test_split import TestSplit
from hubline.preprocessing import masks
from hubline.preprocessing.columns import ParsingSpec, one_each
from hubline.preprocessing.config import Label
from hubline.preprocessing.encoding_layers import Counted
from hubline.preprocessing.labels.class_and_box import ClassAndBoxLabel
from hubline.preprocessing.labels.label import ClassesKind, LabelKind
from hubline.preprocessing.labels.multilabel import MultilabelLabel
from hubline.preprocessing.labels.pixels import PixelsLabel
from hubline.preprocessing.labels.regression import RegressionLabel
from hubline.trainer import task
from hubline.trainer.inputs import Tensors, read_records

_ROWS_AT_ONCE = 1024
_SHOWN_CLASSES = 10
_CLEARLY = 0.01


class _Classes(Reader):
    """Indices of classes, and scores by class."""

    answers: Sequence[str] = (task.CLASSES, task.SCORES)
    kept: Sequence[str] = (task.SCORES,)
    label: ClassesKind | MultilabelLabel

    def __init__(
        self, label: LabelKind, spec: ParsingSpec, split: TestSplit, models: Mapping[str, ServedModel]
    ) -> None:
        super().__init__(label, spec, split, models)
        self._known = _known_classes(split, models)
        classes = list(dict.fromkeys([*chain(*self._known.values()), *self._names(split)]))
        self.predicted = Predicted(label.kind, classes)
        self._order = {name: _order(of_model, classes) for name, of_model in self._known.items()}
        self._table = tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer(classes, tf.range(len(classes), dtype=tf.int64)), -1
        )

    @property
    def notes(self) -> list[str]:
        return _class_notes(self._known)

    def truth(self, records: tf.Tensor) -> tf.Tensor:
        return self._table.lookup(self.names(records))[:, tf.newaxis]

    def names(self, records: tf.Tensor) -> tf.Tensor:
        """All class names that serialized records have, one after the other."""
        return self.label.names(self.read(records))

    def told(self, model: str, answer: Tensors) -> tf.Tensor:
        return self.arranged(model, answer[task.SCORES])

    def arranged(self, model: str, scores: tf.Tensor) -> tf.Tensor:
        """A model's scores in the order of all classes; 0 for one that the model does not know."""
        return tf.gather(tf.pad(scores, [[0, 0], [0, 1]]), self._order[model], axis=1)

    def _names(self, split: TestSplit) -> list[str]:
        """The class names that the records of a split have, sorted."""
        rows = read_records(split.rows).batch(_ROWS_AT_ONCE)
        names = rows.map(self.names, num_parallel_calls=tf.data.AUTOTUNE)
        return sorted(name.decode() for name in names.unbatch().unique().as_numpy_iterator())


class _ClassAndBox(_Classes):
    """Indices of classes, and scores by class, with the box behind them."""

    answers = (task.CLASSES, task.SCORES, task.BOX)
    kept = (task.SCORES, task.BOX)
    label: ClassAndBoxLabel

    def truth(self, records: tf.Tensor) -> tf.Tensor:
        index = tf.cast(super().truth(records), tf.float32)
        return tf.concat([index, self.label.boxes(self.read(records))], axis=1)

    def told(self, model: str, answer: Tensors) -> tf.Tensor:
        return tf.concat([super().told(model, answer), answer[task.BOX]], axis=1)

    def beside(self, records: tf.Tensor) -> Tensors:
        return {OBJECTS: self.label.objects(self.read(records))[:, tf.newaxis]}


class _AnyClasses(_Classes):
    """For each class whether a record is of it, its score, and whether the model chooses it, by its own threshold."""

    answers = (task.CLASSES, task.CHOSEN, task.SCORES)
    label: MultilabelLabel

    def __init__(
        self, label: LabelKind, spec: ParsingSpec, split: TestSplit, models: Mapping[str, ServedModel]
    ) -> None:
        super().__init__(label, spec, split, models)
        self._multi_hot = Counted(len(self.predicted.classes), at_most_once=True, name="label")

    def truth(self, records: tf.Tensor) -> tf.Tensor:
        indices = tf.sparse.map_values(self._table.lookup, self.label.names(self.read(records)))
        known = tf.sparse.retain(indices, indices.values >= 0)
        return tf.cast(self._multi_hot([known]), tf.int64)

    def names(self, records: tf.Tensor) -> tf.Tensor:
        return self.label.names(self.read(records)).values

    def told(self, model: str, answer: Tensors) -> tf.Tensor:
        chosen = tf.cast(answer[task.CHOSEN], tf.float32)
        return tf.concat([super().told(model, answer), self.arranged(model, chosen)], axis=1)


class _Values(Reader):
    """Numbers, float64 in the units of the label."""

    answers = kept = (task.VALUE,)
    label: RegressionLabel

    def __init__(
        self, label: LabelKind, spec: ParsingSpec, split: TestSplit, models: Mapping[str, ServedModel]
    ) -> None:
        super().__init__(label, spec, split, models)
        some = self.truth(next(iter(read_records(split.rows, in_order=True).batch(_ROWS_AT_ONCE))))
        self.predicted = Predicted(label.kind, centre=float(np.median(some)))

    def truth(self, records: tf.Tensor) -> tf.Tensor:
        return tf.cast(self.label.values(self.read(records)), tf.float64)[:, tf.newaxis]

    def told(self, model: str, answer: Tensors) -> tf.Tensor:
        return tf.cast(answer[task.VALUE], tf.float64)[:, tf.newaxis]


class _Pixels(Reader):
    """Confusion matrices of the pixels of each picture, as each model sees it."""

    answers: Sequence[str] = (task.CLASSES, task.MASK, task.COVERS)
    kept: Sequence[str] = ()
    label: PixelsLabel

    def __init__(
        self, label: LabelKind, spec: ParsingSpec, split: TestSplit, models: Mapping[str, ServedModel]
    ) -> None:
        super().__init__(label, spec, split, models)
        self._known = _known_classes(split, models)
        # What is true has the label's own numbers.
        classes = list(dict.fromkeys([*self.label.classes, *chain(*self._known.values())]))
        self.predicted = Predicted(label.kind, classes)
        self._order = {name: tf.constant(list(map(classes.index, known))) for name, known in self._known.items()}
        self._covered = dict.fromkeys(models, 0.0)
        self._count = 0

    @property
    def notes(self) -> list[str]:
        shares = {name: covered / max(self._count, 1) for name, covered in self._covered.items()}
        if SERVING in shares and abs(shares[SERVING] - shares[CANDIDATE]) > _CLEARLY:
            seen = (
                f"the version that serves sees {shares[SERVING]:.0%} of a picture on average, and this model "
                f"{shares[CANDIDATE]:.0%}; each is judged on the part that it sees"
            )
            return [*_class_notes(self._known), seen]
        return _class_notes(self._known)

    def truth(self, records: tf.Tensor) -> tf.Tensor:
        raise NotImplementedError  # it depends on the size and the part of the picture that a model answers for

    def told(self, model: str, answer: Tensors) -> tf.Tensor:
        raise NotImplementedError  # only how it compares is kept

    def compared(self, records: tf.Tensor, rows: tf.Tensor, asked: Mapping[str, Tensors]) -> Tensors:
        encoded = one_each(tf.io.parse_example(records, self.spec)[self.label.column])
        found = {name: self._confusion(name, encoded, answer) for name, answer in asked.items()}
        for name, answer in asked.items():
            self._covered[name] += float(tf.reduce_sum(_area(answer[task.COVERS])))
        self._count += len(encoded)
        return {LABEL: tf.reduce_sum(found[CANDIDATE], axis=1, keepdims=True)} | found

    def _confusion(self, model: str, encoded: tf.Tensor, answer: Tensors) -> tf.Tensor:
        told = tf.gather(self._order[model], tf.cast(answer[task.MASK], tf.int32))
        size = tuple(told.shape[1:])
        true = tf.map_fn(
            lambda one: masks.seen(self.label, one[0], one[1], size),
            (encoded, answer[task.COVERS]),
            fn_output_signature=tf.TensorSpec([*size, 1], tf.uint8),
        )
        return confusion(tf.cast(true[..., 0], tf.int32), told, len(self.predicted.classes))

    def masks(self, asked: Mapping[str, Tensors]) -> tf.Tensor:
        told = tf.cast(tf.gather(self._order[CANDIDATE], tf.cast(asked[CANDIDATE][task.MASK], tf.int32)), tf.uint8)
        return tf.map_fn(tf.io.encode_png, told[..., tf.newaxis], fn_output_signature=tf.string)


def reader_of(label: Label) -> type[Reader]:
    """The reader of a label's kind."""
    kinds: dict[str, type[Reader]] = {
        "multilabel": _AnyClasses,
        "regression": _Values,
        "class_and_box": _ClassAndBox,
        "pixels": _Pixels,
    }
    return kinds.get(label.kind, _Classes)


def _known_classes(split: TestSplit, models: Mapping[str, ServedModel]) -> dict[str, list[str]]:
    """The classes that each model knows, by their numbers.

    Raises:
        ServingFault: where the two have none in common.
    """
    record, row = next(iter(split.both().batch(1)))
    asked = {name: model.answer(row if model.answers_rows else record) for name, model in models.items()}
    known = {name: [text.decode() for text in told[task.CLASSES][0].numpy()] for name, told in asked.items()}
    if SERVING in known and not set(known[SERVING]) & set(known[CANDIDATE]):
        raise ServingFault(
            f"{models[SERVING].path}: its classes ({_shown(known[SERVING])}) have nothing in common with those of "
            f"this model ({_shown(known[CANDIDATE])})"
        )
    return known


def _class_notes(known: Mapping[str, Sequence[str]]) -> list[str]:
    if SERVING not in known:
        return []
    new = [name for name in known[CANDIDATE] if name not in known[SERVING]]
    gone = [name for name in known[SERVING] if name not in known[CANDIDATE]]
    notes = []
    if new:
        notes.append(f"the version that serves does not know the classes {_shown(new)}: these count against it")
    if gone:
        notes.append(f"the version that serves knows classes that this model does not: {_shown(gone)}")
    return notes


def _shown(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN_CLASSES} more" if len(names) > _SHOWN_CLASSES else ""
    return ", ".join(names[:_SHOWN_CLASSES]) + more


def _order(known: Sequence[str], classes: Sequence[str]) -> tf.Tensor:
    """For each class its position among those that a model knows; behind the last of them where it knows it not."""
    positions = {name: position for position, name in enumerate(known)}
    return tf.constant([positions.get(name, len(known)) for name in classes])


def _area(covers: tf.Tensor) -> tf.Tensor:
    """The shares of pictures that boxes in them, [batch, 4], cover."""
    inside = tf.clip_by_value(covers, 0.0, 1.0)
    return (inside[:, 2] - inside[:, 0]) * (inside[:, 3] - inside[:, 1])
