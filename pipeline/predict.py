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
from pipeline.json_records import STANDARD_INPUT, columns_of, is_json, read_json
from preprocessing.errors import UserError, tensorflow_reason
from preprocessing.examples import flattened
from trainer.export import PREDICT, SERVING
from trainer.task import CHOSEN, CLASSES, LABEL, SCORE, SCORES, VALUE

Prediction = dict[str, Any]

_BATCH = 64  # few enough for images


def predict_inputs(model: str, inputs: list[str]) -> list[Prediction]:
    """Predictions for image files and for each record of TFRecord and JSON files, in the order given.

    Args:
        model: A version's folder, or a serving folder, whose newest version answers.
        inputs: Files, or `-` for JSON on standard input.

    Returns:
        For each image or record: `input`, `record` (its number from 0; None for an image), and of a regression `value`,
        else `scores` by class, and `label` and `score`, or of any number of classes `chosen`, the highest score first.

    Raises:
        UserError: where a file or the model is missing, or a file is none of these.
    """
    files = [path for path in inputs if path != STANDARD_INPUT]
    missing = [path for path in files if not storage.exists(path) or storage.is_folder(path)]
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
    try:
        if is_json(path):
            yield from _predict_json(signatures[PREDICT], path)
        elif _is_image(path):
            yield from _predict_image(signatures[PREDICT], path)
        else:
            for first, batch in read_batches(path, _BATCH):
                yield from _named(path, signatures[SERVING](examples=flattened(batch)), first)
    except (tf.errors.InvalidArgumentError, tf.errors.DataLossError) as error:
        raise UserError(f"{path}: cannot be predicted on: {tensorflow_reason(error)}") from error


def _predict_json(signature: Any, path: str) -> Iterator[Prediction]:
    records = read_json(path)
    columns = columns_of(path, records, signature.structured_input_signature[1])
    for first in range(0, len(records), _BATCH):
        batch = {name: values[first : first + _BATCH] for name, values in columns.items()}
        yield from _named(path, signature(**batch), first)


def _is_image(path: str) -> bool:
    with storage.open_binary(path) as file:
        return file.read(8).startswith(tuple(IMAGE_MAGIC.values()))


def _predict_image(signature: Any, path: str) -> Iterator[Prediction]:
    columns = signature.structured_input_signature[1]
    if len(columns) != 1:
        raise UserError(
            f"{path}: this model takes {', '.join(sorted(columns))}; give it TFRecords or JSON with these columns"
        )
    with storage.open_binary(path) as file:
        answer = signature(**{next(iter(columns)): tf.constant([file.read()])})
    yield from _named(path, answer, None)


def _named(path: str, answer: dict[str, tf.Tensor], first: int | None) -> Iterator[Prediction]:
    read = _values if VALUE in answer else _chosen if CHOSEN in answer else _classes
    for number, said in enumerate(read(answer), start=first or 0):
        yield {"input": path, "record": None if first is None else number, **said}


def _values(answer: dict[str, tf.Tensor]) -> Iterator[Prediction]:
    for value in answer[VALUE].numpy().tolist():
        yield {"value": value}


def _classes(answer: dict[str, tf.Tensor]) -> Iterator[Prediction]:
    rows = zip(*(answer[name].numpy().tolist() for name in (LABEL, SCORE, CLASSES, SCORES)), strict=True)
    for label, score, classes, scores in rows:
        by_class = {name.decode(): value for name, value in zip(classes, scores, strict=True)}
        yield {"label": label.decode(), "score": score, "scores": by_class}


def _chosen(answer: dict[str, tf.Tensor]) -> Iterator[Prediction]:
    rows = zip(*(answer[name].numpy().tolist() for name in (CLASSES, SCORES, CHOSEN)), strict=True)
    for classes, scores, chosen in rows:
        by_class = {name.decode(): value for name, value in zip(classes, scores, strict=True)}
        told = [name for name, is_told in zip(by_class, chosen, strict=True) if is_told]
        yield {"chosen": sorted(told, key=lambda name: -by_class[name]), "scores": by_class}


def show_predictions(console: Console, predictions: list[Prediction]) -> None:
    """Prints a row for each prediction: the number, the classes that are chosen, or the best one; and the next two."""
    rows = [_shown(prediction) for prediction in predictions]
    table = Table(Column("input", overflow="fold"), "record", *(rows[0] if rows else ()), box=None, pad_edge=False)
    for prediction, row in zip(predictions, rows, strict=True):
        record = "" if prediction["record"] is None else str(prediction["record"])
        table.add_row(Text(prediction["input"]), record, *map(Text, row.values()))
    console.print(table)


def _shown(prediction: Prediction) -> dict[str, str]:
    """By the heading of its column, what is said."""
    if "value" in prediction:
        return {"value": f"{prediction['value']:.6g}"}
    ranked = sorted(prediction["scores"].items(), key=lambda item: -item[1])
    if "chosen" in prediction:
        count = len(prediction["chosen"])
        return {"chosen": _listed(ranked[:count]) or "none", "next": _listed(ranked[count : count + 2])}
    return {"label": prediction["label"], "score": f"{prediction['score']:.3f}", "next": _listed(ranked[1:3])}


def _listed(scores: list[tuple[str, float]]) -> str:
    return ", ".join(f"{name} {score:.3f}" for name, score in scores)
