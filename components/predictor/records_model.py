"""Predicts with any SavedModel that takes serialized tf.Examples, such as one that TFX or an Estimator exported."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf

from hubline.components.predictor.classes import Classifier
from hubline.components.predictor.inputs import InputType, Item
from hubline.components.predictor.label_answers import ANSWERS
from hubline.components.predictor.model import Answer, Model, ModelSpec
from hubline.components.predictor.plain_values import answer_of
from hubline.components.predictor.record_signature import examples_signature
from hubline.core import storage
from hubline.core.errors import DataError, UserError
from hubline.trainer.hub_trial import numpy_of, try_outputs
from hubline.trainer.module import Function, is_floating
from hubline.trainer.reaching_operations import refuse_reaching
from hubline.trainer.saved_model_loader import open_module, read_saved_model
from hubline.trainer.task import CLASSES, LABEL, SCORE, SCORES

TOP = "top"
_TRIED = 4
"""Records of the first batch that are also predicted on alone."""


@dataclass(frozen=True)
class RecordsModelSpec(ModelSpec):
    """A reference to a SavedModel whose signature takes serialized tf.Examples."""

    path: str
    """Folder of the SavedModel."""
    signature: str | None = None
    """The signature to call; None for `serving_default` or the only one that takes one string per record."""
    labels: tuple[str, ...] = ()
    """Class names by class number; may be empty."""
    top: int | None = None
    """Number of top classes to return. None: five if there are labels, otherwise raw outputs."""
    outputs: tuple[str, ...] = ()
    """Outputs to return; empty for all."""
    allow_operations: tuple[str, ...] = ()
    """Operations by which the model may reach files or other machines."""

    def open(self) -> Model:
        """Loads the model. Raises a UserError if it doesn't take tf.Examples."""
        return RecordsModel(self)


class RecordsModel(Model):
    """A loaded model that takes serialized tf.Examples."""

    def __init__(self, model_spec: RecordsModelSpec) -> None:
        self._path = model_spec.path
        with storage.on_disk(model_spec.path) as folder:
            try:
                saved = read_saved_model(folder)
                refuse_reaching(saved, model_spec.allow_operations)
                module = open_module(folder)
                signature = examples_signature(module.offer.signatures, model_spec.signature)
            except UserError as error:
                message = str(error).replace(folder, self._path)
                raise UserError(message if self._path in message else f"{self._path}: {message}") from error
        function = module.offer.signatures[signature]
        ((self._input, takes),) = function.inputs.items()
        self._call = partial(module.run, signature, function)
        for name in model_spec.outputs:
            if name not in function.outputs:
                raise UserError(
                    f"{self._path}: the signature '{signature}' has no output '{name}'; its outputs are: "
                    f"{', '.join(sorted(function.outputs))}"
                )
        self._outputs = model_spec.outputs or tuple(function.outputs)
        method = saved.graph.signature_def[signature].method_name
        self._names_classes = not model_spec.outputs and _is_classification(function, method)
        if self._names_classes and model_spec.labels:
            raise UserError(f"{self._path}: the signature '{signature}' names its classes itself; leave the labels out")
        self._top = model_spec.top
        wants_classes = bool(model_spec.labels or model_spec.top)
        self._classifier = (
            Classifier(model_spec.labels, model_spec.top) if wants_classes and not self._names_classes else None
        )
        self.one_at_a_time = takes.shape == (1,)
        self._is_tried = self.one_at_a_time

    def check(self, input_type: InputType) -> None:
        """Rejects everything but TFRecords."""
        if input_type != "example":
            given = {"image": "an image", "json": "JSON", "latent": "--latent"}[input_type]
            raise UserError(f"a model with record_input: examples takes records as they are: TFRecords, not {given}")

    def ask(self, input_type: InputType, items: Sequence[Item]) -> list[Answer]:
        """Returns the outputs by name. `classes` and `scores` of a classification, as an Estimator exports them, become
        `label`, `score` and `scores` by class, as for a pushed model, and the best classes in `top` if it is set.

        Raises:
            UserError: if an output doesn't have one row per record, or a row depends on other records of the batch.
            DataError: if a classification names a class twice for a record.
        """
        records = [item.data for item in items]
        answered = self._run(records)
        self._check_rows(answered, records)
        named = list(self._named(answered, items)) if self._names_classes else []
        answers = []
        for row in range(len(records)):
            of_one = {name: values[row : row + 1].reshape(values.shape[1:]) for name, values in answered.items()}
            answers.append(Answer(named[row], of_one) if named else answer_of(of_one, self._classifier))
        return answers

    def _named(self, answered: Mapping[str, np.ndarray], items: Sequence[Item]) -> Iterator[dict[str, Any]]:
        for item, names, scores in zip(items, answered[CLASSES].tolist(), answered[SCORES], strict=True):
            if len(set(names)) != len(names) or len(names) != len(scores) or not names:
                raise DataError(
                    f"{item.input}: record {item.record}: the classes that the model names are not one per score, each "
                    f"once: {', '.join(map(repr, names)) or 'none'}"
                )
        for one in ANSWERS.by_kind["class"].read(_with_best(answered)):
            best = sorted(one[SCORES].items(), key=lambda pair: -pair[1])[: self._top or 0]
            yield one | ({TOP: [{LABEL: name, SCORE: score} for name, score in best]} if self._top else {})

    def _run(self, records: Sequence[bytes]) -> dict[str, np.ndarray]:
        outputs = self._call({self._input: tf.constant(list(records))})
        return {name: numpy_of(outputs[name]) for name in self._outputs}

    def _check_rows(self, answered: Mapping[str, np.ndarray], records: Sequence[bytes]) -> None:
        for name, values in answered.items():
            if values.shape[:1] != (len(records),):
                raise UserError(
                    f"{self._path}: the output '{name}' is {list(values.shape)} for {len(records)} "
                    f"{'record' if len(records) == 1 else 'records'}: it doesn't have one row per record"
                )
        if self._is_tried or len(records) < 2:
            return
        few = records[:_TRIED]
        tried = try_outputs(lambda numbers: self._run([few[number] for number in numbers]), len(few), "batches")
        dependent = [name for name in answered if tried.kind(name) != "row"]
        if tried.outputs and dependent:
            raise UserError(
                f"{self._path}: in the output '{dependent[0]}', the row of a record depends on the other records of "
                f"its batch ({tried.output_shapes[dependent[0]]}); set the batch size to 1"
            )
        self._is_tried = True


def _is_classification(function: Function, method: str) -> bool:
    """Whether the outputs are names and scores of classes: those of TensorFlow Serving's method Classify, which an
    Estimator exports, or all four that Hubline exports."""
    outputs = function.outputs
    if method != tf.saved_model.CLASSIFY_METHOD_NAME and outputs.keys() != {LABEL, SCORE, CLASSES, SCORES}:
        return False
    is_named = {CLASSES, SCORES} <= outputs.keys() <= {LABEL, SCORE, CLASSES, SCORES} and len(outputs) != 3
    return is_named and outputs[CLASSES].dtype == "string" and is_floating(outputs[SCORES].dtype)


def _with_best(answered: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
    """Adds the name and the score of the best class of each record, unless the model returns them."""
    best = answered[SCORES].argmax(axis=1)
    rows = np.arange(len(best))
    return {LABEL: answered[CLASSES][rows, best], SCORE: answered[SCORES][rows, best], **answered}
