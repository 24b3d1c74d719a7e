"""`hubline predict`: asks an exported model."""

from collections.abc import Iterator
from typing import Any

import tensorflow as tf
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from components import storage
from components.example_gen.contract import IMAGE_MAGIC
from components.pusher.versions import newest_version
from components.records import read_batches
from preprocessing.errors import UserError, tensorflow_reason
from preprocessing.examples import flattened
from trainer.export import PREDICT, SERVING
from trainer.task import CLASSES, LABEL, SCORE, SCORES, VALUE

Prediction = dict[str, Any]


def predict_inputs(model: str, inputs: list[str]) -> list[Prediction]:
    """Predictions for image files and for each record of TFRecord files, in the order given.

    Args:
        model: A version's folder, or a serving folder, whose newest version answers.
        inputs: Files.

    Returns:
        For each image or record: `input`, `record` (its number from 0; None for an image), and of a regression `value`,
        else `label`, `score`, and `scores` by class.

    Raises:
        UserError: where a file or the model is missing, or a file is neither.
    """
    missing = [path for path in inputs if not storage.exists(path) or storage.is_folder(path)]
    if missing:
        raise UserError("\n".join(f"{path}: there is no such file" for path in missing))
    signatures = _load(model).signatures
    return [prediction for path in inputs for prediction in _predict_file(signatures, path)]


def _load(model: str) -> Any:
    path = model if storage.exists(f"{model}/saved_model.pb") else newest_version(model)
    if path is None:
        raise UserError(f"{model}: neither a SavedModel nor a serving folder with a version in it")
    loaded = tf.saved_model.load(path)
    if not {PREDICT, SERVING} <= loaded.signatures.keys():
        offered = ", ".join(sorted(loaded.signatures)) or "none"
        raise UserError(f"{path}: not a model that hubline exported: its signatures are: {offered}")
    return loaded


def _predict_file(signatures: Any, path: str) -> Iterator[Prediction]:
    with storage.open_binary(path) as file:
        start = file.read(8)
    try:
        if start.startswith(tuple(IMAGE_MAGIC.values())):
            yield from _predict_image(signatures[PREDICT], path)
        else:
            for first, batch in read_batches(path, batch_size=64):
                yield from _named(path, signatures[SERVING](examples=flattened(batch)), first)
    except (tf.errors.InvalidArgumentError, tf.errors.DataLossError) as error:
        raise UserError(f"{path}: cannot be predicted on: {tensorflow_reason(error)}") from error


def _predict_image(signature: Any, path: str) -> Iterator[Prediction]:
    columns = signature.structured_input_signature[1]
    if len(columns) != 1:
        raise UserError(f"{path}: this model takes {', '.join(sorted(columns))}; give it TFRecords with these columns")
    with storage.open_binary(path) as file:
        answer = signature(**{next(iter(columns)): tf.constant([file.read()])})
    yield from _named(path, answer, None)


def _named(path: str, answer: dict[str, tf.Tensor], first: int | None) -> Iterator[Prediction]:
    for number, said in enumerate(_values(answer) if VALUE in answer else _classes(answer), start=first or 0):
        yield {"input": path, "record": None if first is None else number, **said}


def _values(answer: dict[str, tf.Tensor]) -> Iterator[Prediction]:
    for value in answer[VALUE].numpy().tolist():
        yield {"value": value}


def _classes(answer: dict[str, tf.Tensor]) -> Iterator[Prediction]:
    rows = zip(*(answer[name].numpy().tolist() for name in (LABEL, SCORE, CLASSES, SCORES)), strict=True)
    for label, score, classes, scores in rows:
        by_class = {name.decode(): value for name, value in zip(classes, scores, strict=True)}
        yield {"label": label.decode(), "score": score, "scores": by_class}


def show_predictions(console: Console, predictions: list[Prediction]) -> None:
    """Prints a row for each prediction: the number, or the best class and the next two."""
    says = ["value"] if any("value" in prediction for prediction in predictions) else ["label", "score", "next"]
    table = Table(Column("input", overflow="fold"), "record", *says, box=None, pad_edge=False)
    for prediction in predictions:
        record = "" if prediction["record"] is None else str(prediction["record"])
        table.add_row(Text(prediction["input"]), record, *_shown(prediction))
    console.print(table)


def _shown(prediction: Prediction) -> list[str]:
    if "value" in prediction:
        return [f"{prediction['value']:.6g}"]
    others = sorted(prediction["scores"].items(), key=lambda item: -item[1])[1:3]
    next_ones = ", ".join(f"{name} {score:.3f}" for name, score in others)
    return [prediction["label"], f"{prediction['score']:.3f}", next_ones]
