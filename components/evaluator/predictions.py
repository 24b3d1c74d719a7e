"""What the models say of each record of the test split, kept as Examples."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

import tensorflow as tf

from components.evaluator.pixels import confusion
from preprocessing import masks
from preprocessing.columns import ParsingSpec, one_each, present
from preprocessing.config import Features, Label, images
from preprocessing.encode import Counted
from preprocessing.errors import RunError, UserError
from preprocessing.examples import encode, keep
from preprocessing.kinds.image import Pictures
from preprocessing.kinds.kind import Columns
from preprocessing.labels.class_and_box import ClassAndBoxLabel
from preprocessing.labels.label import ClassesKind, LabelKind
from preprocessing.labels.multilabel import MultilabelLabel
from preprocessing.labels.pixels import PixelsLabel
from preprocessing.labels.regression import RegressionLabel
from preprocessing.progress import report
from trainer import export, task
from trainer.inputs import Tensors, read_decodable, read_records
from trainer.loading import load_exported
from trainer.sink import writing

RECORD = "hubline.record"
"""The column of a prediction with the number of its record, counted over the files of the split from 0."""

LABEL = "hubline.label"
"""The column with what is true: the index of the class, with the four numbers of the box behind it where there is one;
of any number of classes a 1 for each and else a 0; of pixels how many there are; or a regression's number."""

CANDIDATE, SERVING = "hubline.candidate", "hubline.serving"
"""The names of the two models, and of the columns with what they say: scores by class, of a class and a box with the
four numbers of the box behind them; of pixels the `confusion` matrix of the picture; or a regression's number."""

OBJECTS = "hubline.objects"
"""Of a class and a box, the column with how many objects the label could be of."""

MASK = "hubline.mask"
"""Of pixels, what the candidate says of each, as a PNG: a column in a file of its own, which only samples are taken
from."""

_BATCH_BYTES = 32 << 20
_MOST, _MOST_IMAGES, _MOST_PIXELS = 1024, 64, 16 << 20
"""Bounds of a batch. Decoded images take many times the bytes of a record, so there are fewer of those in one; the last
is in bytes, and what counts for clips."""

_START_AFRESH = "Take the version away, or give the pipeline another serving folder, to start afresh"
_TRIED = 16  # records that a model is asked about twice, to see that it says the same of what is kept of them
_TOLERANCE = 1e-3


class ServedModel:
    """An exported model, answering serialized tf.Examples, and rows where it knows the vectors in them."""

    def __init__(self, path: str, recipe: str | None) -> None:
        """Loads what is needed of a SavedModel.

        Args:
            path: Its folder.
            recipe: Which vectors the rows hold, if any. A model that can answer from these need not be loaded whole.

        Raises:
            UserError: where it does not answer as a model of ours.
        """
        self.path = path
        self.answers_rows = recipe is not None and export.recipe_of(path) == recipe
        self._answer = _load(f"{path}/{export.HEAD}" if self.answers_rows else path)

    def check_answers(self, names: Sequence[str]) -> None:
        """Raises a UserError where it does not answer all of some names."""
        if not set(names) <= self._answer.structured_outputs.keys():
            raise UserError(
                f"{self.path}: this model does not answer {' and '.join(map(repr, names))} in its signature "
                f"'{export.SERVING}', so nothing can be compared with it. {_START_AFRESH}"
            )

    def answer(self, records: tf.Tensor) -> Tensors:
        """What it says, by name, of serialized records or rows, string of shape [batch]."""
        return self._answer(examples=records)


def _load(path: str) -> Any:
    """The signature of a SavedModel that answers examples."""
    try:
        answer = load_exported(path).signatures.get(export.SERVING)
    except (UserError, OSError, ValueError, tf.errors.OpError) as error:
        raise UserError(f"{path}: TensorFlow cannot load this version: {error}. {_START_AFRESH}") from error
    if answer is None:
        raise UserError(f"{path}: this model does not answer in a signature '{export.SERVING}'. {_START_AFRESH}")
    return answer


@dataclass(frozen=True)
class TestSplit:
    """The test split, as records and as rows."""

    records: Sequence[str]
    rows: Sequence[str]
    count: int
    """Rows."""
    undecodable: Sequence[int]
    """The numbers of the records without a row."""
    recipe: str | None
    """Which vectors the rows hold, if any."""
    largest: int
    """Bytes of the largest record."""
    has_images: bool
    """Whether the records hold images; the rows hold none."""
    pixels: int = 0
    """Bytes of the images of a record, as pixels."""

    __test__ = False  # no test, whatever pytest makes of its name

    def numbered(self) -> tf.data.Dataset:
        """Pairs of a record's number and its row, in order."""
        missing = tf.constant(list(self.undecodable), tf.int64)
        numbers = tf.data.Dataset.range(self.count + len(self.undecodable))
        numbers = numbers.filter(lambda number: tf.reduce_all(number != missing))
        return tf.data.Dataset.zip((numbers, read_records(self.rows, in_order=True)))


@dataclass(frozen=True)
class Predicted:
    """The classes that predictions speak of; none, where they are numbers."""

    classes: Sequence[str] = ()
    """By index: those that the models know, and those that the records have."""
    threshold: float | None = None
    """Where a record has any number of them, the score from which one counts as told."""
    has_boxes: bool = False
    """Whether boxes stand behind the classes."""
    of_pixels: bool = False
    """Whether they are confusion matrices of pixels."""


class _Reader(ABC):
    """Reads what is true of records, and what models say of them, as columns of predictions."""

    label: LabelKind
    answers: Sequence[str]
    """What a model must answer, by name."""
    kept: Sequence[str]
    """What is kept of it."""

    def __init__(
        self, label: LabelKind, spec: ParsingSpec, split: TestSplit, models: Mapping[str, ServedModel]
    ) -> None:
        """Finds out what must be known of all records and models beforehand; arguments as for `write_predictions`."""
        for model in models.values():
            model.check_answers(self.answers)
        self.label = label
        self.spec = spec
        self.predicted = Predicted()

    @abstractmethod
    def truth(self, records: tf.Tensor) -> tf.Tensor:
        """Of serialized records or rows, string of shape [batch], what is true, shape [batch, n]."""

    @abstractmethod
    def said(self, model: str, answer: Tensors) -> tf.Tensor:
        """Of what a model answered, what is kept, float32 of shape [batch, n]."""

    def compared(self, records: tf.Tensor, rows: tf.Tensor, asked: Mapping[str, Tensors]) -> Tensors:
        """What is kept of some records beside their numbers, by the name of its column.

        Args:
            records: Serialized, string of shape [batch]; nothing of them where all models answer from rows.
            rows: Their rows, likewise.
            asked: What each model answered.
        """
        said = {name: self.said(name, answer) for name, answer in asked.items()}
        return {LABEL: self.truth(rows)} | self.beside(rows) | said

    def masks(self, asked: Mapping[str, Tensors]) -> tf.Tensor | None:
        """What the candidate says of each pixel, as PNGs, string of shape [batch]; None of other labels."""
        return None

    def beside(self, records: tf.Tensor) -> Tensors:
        """What else is kept of serialized records, by the name of its column, each of shape [batch, n]."""
        return {}

    def read(self, records: tf.Tensor) -> Columns:
        """The columns of the label in serialized records."""
        parsed = tf.io.parse_example(records, self.spec)
        return lambda column: present(parsed[column])


class _Classes(_Reader):
    """Indices of classes, and scores by class."""

    answers: Sequence[str] = (task.CLASSES, task.SCORES)
    kept: Sequence[str] = (task.SCORES,)
    label: ClassesKind | MultilabelLabel

    def __init__(
        self, label: LabelKind, spec: ParsingSpec, split: TestSplit, models: Mapping[str, ServedModel]
    ) -> None:
        super().__init__(label, spec, split, models)
        names = self._names(split)
        record, row = next(iter(_both(split).batch(1)))
        asked = {name: model.answer(row if model.answers_rows else record) for name, model in models.items()}
        known = {name: [text.decode() for text in said[task.CLASSES][0].numpy()] for name, said in asked.items()}
        classes = list(dict.fromkeys([*(name for of_model in known.values() for name in of_model), *names]))
        self.predicted = Predicted(classes=classes)
        self._order = {name: _order(of_model, classes) for name, of_model in known.items()}
        self._table = tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer(classes, tf.range(len(classes), dtype=tf.int64)), -1
        )

    def truth(self, records: tf.Tensor) -> tf.Tensor:
        return self._table.lookup(self.names(records))[:, tf.newaxis]

    def names(self, records: tf.Tensor) -> tf.Tensor:
        """All class names that serialized records have, one after the other."""
        return self.label.names(self.read(records))

    def said(self, model: str, answer: Tensors) -> tf.Tensor:
        return _arranged(answer[task.SCORES], self._order[model])

    def _names(self, split: TestSplit) -> list[str]:
        """The class names that the records of a split have, sorted."""
        rows = read_records(split.rows).batch(_MOST)
        names = rows.map(self.names, num_parallel_calls=tf.data.AUTOTUNE)
        return sorted(name.decode() for name in names.unbatch().unique().as_numpy_iterator())


class _ClassAndBox(_Classes):
    """Indices of classes, and scores by class, with the box behind them."""

    answers = (task.CLASSES, task.SCORES, task.BOX)
    kept = (task.SCORES, task.BOX)
    label: ClassAndBoxLabel

    def __init__(
        self, label: LabelKind, spec: ParsingSpec, split: TestSplit, models: Mapping[str, ServedModel]
    ) -> None:
        super().__init__(label, spec, split, models)
        self.predicted = replace(self.predicted, has_boxes=True)

    def truth(self, records: tf.Tensor) -> tf.Tensor:
        index = tf.cast(super().truth(records), tf.float32)
        return tf.concat([index, self.label.boxes(self.read(records))], axis=1)

    def said(self, model: str, answer: Tensors) -> tf.Tensor:
        return tf.concat([super().said(model, answer), answer[task.BOX]], axis=1)

    def beside(self, records: tf.Tensor) -> Tensors:
        return {OBJECTS: self.label.objects(self.read(records))[:, tf.newaxis]}


class _Pixels(_Reader):
    """Confusion matrices of the pixels of each picture, as the model sees it."""

    answers: Sequence[str] = (task.CLASSES, task.MASK)
    label: PixelsLabel

    def __init__(
        self,
        label: LabelKind,
        spec: ParsingSpec,
        split: TestSplit,
        models: Mapping[str, ServedModel],
        feature: Pictures,
    ) -> None:
        super().__init__(label, spec, split, models)
        self._feature = feature
        record = next(iter(_records(split).batch(1)))
        said = {name: model.answer(record)[task.CLASSES][0].numpy() for name, model in models.items()}
        known = {name: [text.decode() for text in texts] for name, texts in said.items()}
        classes = list(
            dict.fromkeys([*self.label.classes, *(name for of_model in known.values() for name in of_model)])
        )
        self.predicted = Predicted(classes=classes, of_pixels=True)
        self._order = {name: tf.constant(list(map(classes.index, of_model))) for name, of_model in known.items()}

    def truth(self, records: tf.Tensor) -> tf.Tensor:
        raise NotImplementedError  # it depends on the size in which a model answers

    def said(self, model: str, answer: Tensors) -> tf.Tensor:
        raise NotImplementedError  # only how it compares is kept

    def compared(self, records: tf.Tensor, rows: tf.Tensor, asked: Mapping[str, Tensors]) -> Tensors:
        encoded = one_each(tf.io.parse_example(records, self.spec)[self.label.column])
        count = len(self.predicted.classes)
        found = {}
        for name, answer in asked.items():
            told = tf.gather(self._order[name], tf.cast(answer[task.MASK], tf.int32))
            # The version that serves may have another size; its mask is of as much of the picture if fit is the same.
            true = self._true(encoded, told.shape[1:])
            found[name] = confusion(true, told, count)
        pixels = tf.cast(tf.reduce_sum(found[CANDIDATE], axis=1, keepdims=True), tf.int64)
        return {LABEL: pixels} | found

    def _true(self, encoded: tf.Tensor, size: tf.TensorShape) -> tf.Tensor:
        """True masks, int32 [batch, height, width] of some size."""
        feature = self._feature.model_copy(update={"size": tuple(size)})
        spec = tf.TensorSpec([*size, 1], tf.uint8)
        fitted = tf.map_fn(lambda one: masks.fitted(self.label, feature, one), encoded, fn_output_signature=spec)
        return tf.cast(fitted[..., 0], tf.int32)

    def masks(self, asked: Mapping[str, Tensors]) -> tf.Tensor:
        told = tf.cast(tf.gather(self._order[CANDIDATE], tf.cast(asked[CANDIDATE][task.MASK], tf.int32)), tf.uint8)
        return tf.map_fn(tf.io.encode_png, told[..., tf.newaxis], fn_output_signature=tf.string)


class _AnyClasses(_Classes):
    """For each class whether a record is of it, and its score."""

    answers = (task.CLASSES, task.CHOSEN, task.SCORES)
    label: MultilabelLabel

    def __init__(
        self, label: LabelKind, spec: ParsingSpec, split: TestSplit, models: Mapping[str, ServedModel]
    ) -> None:
        super().__init__(label, spec, split, models)
        self.predicted = replace(self.predicted, threshold=self.label.threshold)
        self._multi_hot = Counted(len(self.predicted.classes), at_most_once=True, name="label")

    def truth(self, records: tf.Tensor) -> tf.Tensor:
        indices = tf.sparse.map_values(self._table.lookup, self.label.names(self.read(records)))
        return tf.cast(self._multi_hot([indices]), tf.int64)

    def names(self, records: tf.Tensor) -> tf.Tensor:
        return self.label.names(self.read(records)).values


class _Values(_Reader):
    """Numbers, in the units of the label."""

    answers = kept = (task.VALUE,)
    label: RegressionLabel

    def truth(self, records: tf.Tensor) -> tf.Tensor:
        return self.label.values(self.read(records))[:, tf.newaxis]

    def said(self, model: str, answer: Tensors) -> tf.Tensor:
        return answer[task.VALUE][:, tf.newaxis]


def write_predictions(
    split: TestSplit,
    models: Mapping[str, ServedModel],
    label: Label,
    label_spec: ParsingSpec,
    columns: Iterable[str],
    output: str,
    features: Features | None = None,
    samples: str | None = None,
) -> Predicted:
    """Runs models over a split and writes what they say beside what is true, as tf.Examples in a TFRecord file.

    A model is asked about the rows where it can answer from the vectors in them, and else about the records.

    Args:
        split: The records.
        models: By the name of the column that is to hold what a model says.
        label: What is true of a record.
        label_spec: How the label's columns are parsed.
        columns: Columns of the records to keep beside it, to slice by.
        output: The file to write.
        features: Of a label of pixels, how pictures are made to fit.
        samples: Of the same, the file for the masks that the candidate gives, in the order of the predictions.

    Raises:
        RunError: where a model says something else of the rows than of the records, or says what is not finite.
        UserError: where a model does not answer as the label asks.
    """
    reader = _reader_of(label, label_spec, split, models, features or {})
    if models[CANDIDATE].answers_rows:
        # The model that serves was held to this when it was a candidate.
        _check_same(models[CANDIDATE], split, reader.kept)

    columns, done = list(columns), 0
    # Two that write from queues would wait for each other, where TensorFlow has two threads.
    with writing(output) as write, tf.io.TFRecordWriter(samples) if samples else nullcontext() as masks_file:
        for (numbers, rows), records in _batches(split, rows_only=all(model.answers_rows for model in models.values())):
            asked = {name: model.answer(rows if model.answers_rows else records) for name, model in models.items()}
            known = {RECORD: numbers[:, tf.newaxis]} | reader.compared(records, rows, asked)
            for name, model in models.items():
                _check_finite(model, known[name], numbers)
            write(tf.strings.join([keep(rows, columns), encode(known)]))
            pngs = reader.masks(asked)
            if masks_file and pngs is not None:
                for png in encode({MASK: pngs[:, tf.newaxis]}).numpy():
                    masks_file.write(png)
            done += len(numbers)
            report(done, split.count, "records")
    return reader.predicted


def _reader_of(
    label: Label, spec: ParsingSpec, split: TestSplit, models: Mapping[str, ServedModel], features: Features
) -> _Reader:
    if isinstance(label, PixelsLabel):
        return _Pixels(label, spec, split, models, images(features)[label.image])
    if isinstance(label, RegressionLabel):
        return _Values(label, spec, split, models)
    if isinstance(label, ClassAndBoxLabel):
        return _ClassAndBox(label, spec, split, models)
    return (_AnyClasses if isinstance(label, MultilabelLabel) else _Classes)(label, spec, split, models)


def _check_finite(model: ServedModel, said: tf.Tensor, numbers: tf.Tensor) -> None:
    wrong = tf.reduce_any(~tf.math.is_finite(said), axis=1)
    if tf.reduce_any(wrong):
        raise RunError(
            f"{model.path}: of record {int(numbers[wrong][0])} of the test split, counted from 0, this model says what "
            "is not a finite number; where features have very large values, normalize them"
        )


def _batches(split: TestSplit, rows_only: bool) -> tf.data.Dataset:
    """Batches of numbers and rows, beside the records that the rows are made from, or beside nothing."""
    most = min(_MOST_IMAGES, _MOST_PIXELS // max(split.pixels, 1)) if split.has_images and not rows_only else _MOST
    size = max(1, min(most, _BATCH_BYTES // max(split.largest, 1)))
    beside = tf.data.Dataset.from_tensors("").repeat() if rows_only else _records(split)
    return tf.data.Dataset.zip((split.numbered(), beside)).batch(size).prefetch(tf.data.AUTOTUNE)


def _records(split: TestSplit) -> tf.data.Dataset:
    return read_decodable(split.records, split.undecodable, in_order=True)


def _both(split: TestSplit) -> tf.data.Dataset:
    """Pairs of a record and its row."""
    return tf.data.Dataset.zip((_records(split), read_records(split.rows, in_order=True)))


def _check_same(model: ServedModel, split: TestSplit, names: Sequence[str]) -> None:
    """Asks a model that answers rows about some records, whole, and as rows, and compares what it answers by name."""
    records, rows = next(iter(_both(split).batch(_TRIED)))
    of_records, of_rows = _load(model.path)(examples=records), model.answer(rows)
    for name in names:
        whole, head = of_records[name], of_rows[name]
        difference = float(tf.reduce_max(tf.abs(whole - head)))
        if not difference <= _TOLERANCE * max(1.0, float(tf.reduce_max(tf.abs(whole)))):
            raise RunError(
                f"{model.path}: of the same records, this model gives {name} that differ by {difference:g} from those "
                "that it gives of their kept vectors; remove the folder `store` beside the artifacts, and run again"
            )


def _order(known: Sequence[str], classes: Sequence[str]) -> tf.Tensor:
    """For each class its position among those that a model knows; behind the last of them where it knows it not."""
    positions = {name: position for position, name in enumerate(known)}
    return tf.constant([positions.get(name, len(known)) for name in classes])


def _arranged(scores: tf.Tensor, order: tf.Tensor) -> tf.Tensor:
    """Scores in the order of all classes; 0 for one that the model does not know."""
    return tf.gather(tf.pad(scores, [[0, 0], [0, 1]]), order, axis=1)
