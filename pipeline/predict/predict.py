"""Predictions one at a time, or into a folder."""

import logging
import re
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from hubline.components.beam import IN_ONE_PROCESS
from hubline.components.predictor.batch_predict import (
    BAD,
    DRAWN,
    PICTURES,
    Format,
    PredictionJob,
    Task,
    assemble,
    prediction_stage,
    summaries,
    write_pictures,
)
from hubline.components.predictor.exported_model import ExportedModelSpec
from hubline.components.predictor.inputs import InputChunk, counted, kept_standard_input, pieces_of, shards_of
from hubline.components.predictor.model import Model, ModelSpec, opened
from hubline.components.predictor.pictures import sheet
from hubline.components.predictor.predict import BadItem, BadPolicy, predictions
from hubline.components.spread.run import run_stage
from hubline.core import storage
from hubline.core.config_base import Section
from hubline.core.errors import DataError, UserError
from hubline.core.progress import LOGGER
from hubline.pipeline.convert.output import replacing


@dataclass(frozen=True)
class Request:
    """Inputs to predict on, and where to write the predictions."""

    inputs: Sequence[str] = ()
    """Files, folders, globs, or `-` for JSON on standard input."""
    latent: int | None = None
    """In place of inputs, number of random vectors."""
    output: Path | None = None
    """Folder for the predictions; None to print them."""
    form: Format = "jsonl"
    shards: int | None = None
    batch_size: int = 64
    key: str | None = None
    bad: BadPolicy = "fail"
    draw: Path | None = None
    """Folder for images with boxes."""
    sheet: Path | None = None
    """File for a contact sheet of all images."""

    def work(self, model_spec: ModelSpec) -> PredictionJob:
        """Options that apply to every shard."""
        return PredictionJob(model_spec, self.form, self.batch_size, self.key, self.bad, draw=self.draw is not None)


class NonePredictedError(DataError):
    """Every item was bad, so there are no predictions."""

    def __init__(self, bad: int, first: BadItem) -> None:
        super().__init__(f"none of {bad:,} could be predicted on; the first: {first}")


class PredictResult(Section):
    """Result of predictions into a folder."""

    status: Literal["succeeded"] = "succeeded"
    output: str
    """The folder."""
    files: tuple[str, ...]
    """Files with predictions, in the order of the inputs."""
    predicted: int
    bad: int
    """Number of items that could not be predicted on; bad.jsonl lists them."""
    pictures: int = 0
    """Number of files in the folder of images."""
    seconds: float
    """Excludes loading the model."""

    def __str__(self) -> str:
        """One line."""
        bad = f", {self.bad:,} bad ({BAD})" if self.bad else ""
        took = f"{self.seconds:.1f} s, {self.predicted / max(self.seconds, 1e-3):,.0f} a second"
        pictures = f" and {_counted(self.pictures, 'picture')}" if self.pictures else ""
        files = f"{_counted(self.predicted, 'prediction')} in {_counted(len(self.files), 'file')}{pictures}"
        return f"{files} in {self.output}{bad}, {took}"


def _counted(number: int, of: str) -> str:
    return f"{number:,} {of}" if number == 1 else f"{number:,} {of}s"


def predict_inputs(model: str, inputs: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Predicts on images and records with a pushed model, in order, one at a time.

    Args:
        model: A version's folder, or a serving folder, whose newest version is used.
        inputs: As in `Request`.

    Yields:
        For each image or record: `input`; `record`, its index (None for an image); for a regression `value`; otherwise
        `scores` by class, `label` and `score`, and `box` if the model predicts one; for any number of classes `chosen`,
        highest score first.

    Raises:
        UserError: if a file or the model is missing, or an input cannot be predicted on.
    """
    yield from predict_one_by_one(ExportedModelSpec.of(model), Request(inputs), _never)


def _never(bad: BadItem) -> None:
    raise AssertionError(bad)  # a bad item is an error


def predict_one_by_one(
    model_spec: ModelSpec, request: Request, on_bad_item: Callable[[BadItem], None], pictures: str | None = None
) -> Iterator[dict[str, Any]]:
    """Predictions in JSON form, in order; only one batch is held in memory.

    Args:
        model_spec: The model.
        request: The inputs.
        on_bad_item: Called with bad items, if they are allowed.
        pictures: Folder for images.

    Raises:
        UserError: if the inputs don't fit the model, an input is missing, or an item is bad and may not be.
        NonePredictedError: if all items are bad.
    """
    pieces = _pieces(request)
    model = opened(model_spec)
    _check(model, pieces, request)
    work = request.work(model_spec)
    bad: list[BadItem] = []
    any_predicted = False

    def count_bad_item(one: BadItem) -> None:
        bad.append(one)
        on_bad_item(one)

    for prediction in predictions(model, pieces, request.batch_size, request.key, request.bad, count_bad_item):
        any_predicted = True
        # For a pushed model, images are an extra; for a hub module, they are the output.
        if prediction.answer.pictures and not isinstance(model_spec, ExportedModelSpec) and pictures is None:
            named = ", ".join(prediction.answer.pictures)
            raise UserError(f"the module's outputs are images ({named}); pass --output FOLDER or --sheet FILE.png")
        yield prediction.row | (write_pictures(work, prediction, pictures) if pictures else {})
    if bad and not any_predicted:
        raise NonePredictedError(len(bad), bad[0])


def predict_to_folder(
    model_spec: ModelSpec, request: Request, console: Console, beam: Sequence[str] = IN_ONE_PROCESS
) -> PredictResult:
    """Writes predictions to a folder, one file per shard. The folder appears complete at the end, or not at all.

    Args:
        model_spec: The model.
        request: The inputs and the folder.
        console: Shows progress on a terminal.
        beam: Beam arguments, which say where to predict.

    Raises:
        UserError: as `predict_one_by_one` does, or if the folder isn't empty.
        NonePredictedError: if all items are bad; nothing is written.
    """
    assert request.output is not None
    output = request.output.resolve()
    check_free(request)
    pieces = _pieces(request)
    model = opened(model_spec)
    _check(model, pieces, request)
    with replacing(output) as folder, _scratch(output) as scratch, _progress(console):
        began = time.monotonic()
        whole = [counted(piece) for piece in kept_standard_input(pieces, scratch)]
        shards = shards_of(whole, request.shards)
        tasks = [Task(shard, f"{number:05d}") for number, shard in enumerate(shards)]
        stage = prediction_stage(request.work(model_spec), tasks, f"{scratch}/store")
        run_stage(stage, lambda _: list(beam), scratch)
        made = summaries(stage)
        names = assemble(stage, made, str(folder), request.form)
        predicted, bad = sum(one.predicted for one in made), sum(one.bad for one in made)
        if bad and not predicted:
            first = (folder / BAD).read_text().partition("\n")[0]
            raise NonePredictedError(bad, BadItem.model_validate_json(first))
        seconds = round(time.monotonic() - began, 3)
        keep_pictures(request, folder)
        pictures = sum(1 for _ in (folder / PICTURES).glob("*"))
    return PredictResult(
        output=str(output), files=tuple(names), predicted=predicted, bad=bad, seconds=seconds, pictures=pictures
    )


def check_free(request: Request) -> None:
    """Checks that nothing would be overwritten.

    Raises:
        UserError: if a folder isn't empty, or isn't on this machine.
    """
    for option, folder in (("--output", request.output), ("--draw", request.draw)):
        if folder is None:
            continue
        if re.match("[a-z][a-z0-9+.-]+:/", str(folder)):  # a Path has no repeated slashes
            raise UserError(f"{option} {folder}: must be a folder on this machine")
        if folder.exists() and not folder.is_dir():
            raise UserError(f"{option} {folder}: is a file; pass a folder")
        if folder.exists() and any(folder.iterdir()):
            raise UserError(f"{option} {folder}: is not empty; use another folder")


def keep_pictures(request: Request, folder: Path) -> None:
    """Moves the images in a folder to their destinations: drawn ones to their folder, and all onto one sheet.

    Raises:
        UserError: if a sheet is requested and there are no images.
    """
    if request.sheet is not None:
        found = sorted((folder / PICTURES).glob("*")) or sorted((folder / DRAWN).glob("*"))
        if not found:
            raise UserError(
                "--sheet: there are no images; the module returns none, and --draw needs a model that predicts boxes"
            )
        unfinished = request.sheet.with_name(f".{request.sheet.name}")
        storage.write_bytes(str(unfinished), sheet(list(map(str, found))))
        unfinished.rename(request.sheet)
    if request.draw is not None:
        with replacing(request.draw.resolve()) as drawn:
            for path in sorted((folder / DRAWN).glob("*")):
                path.rename(drawn / path.name)
        if (folder / DRAWN).exists():
            (folder / DRAWN).rmdir()


def _pieces(request: Request) -> list[InputChunk]:
    if request.latent is not None:
        return [InputChunk("latent", "latent", "", 0, count=request.latent)]
    return pieces_of(request.inputs)


def _check(model: Model, pieces: Sequence[InputChunk], request: Request) -> None:
    """Raises a UserError that names one file of each type that the model doesn't take."""
    first_of_sort = {piece.input_type: piece.input for piece in reversed(pieces)}
    faults = []
    if request.draw is not None and not model.finds:
        faults.append(
            "--draw: there is nothing to draw: a hub module gives detection_boxes and detection_scores, a pushed model "
            "a box or a mask, and this one does not"
        )
    for input_type, name in first_of_sort.items():
        try:
            model.check(input_type)
        except UserError as error:
            faults.append(str(error) if input_type == "latent" else f"{name}: {error}")
    if faults:
        raise UserError("\n".join(faults))


@contextmanager
def _scratch(output: Path) -> Iterator[str]:
    """A hidden folder next to the output, on the same disk, so that files can be linked rather than copied."""
    with tempfile.TemporaryDirectory(prefix=f".{output.name}-", dir=output.parent) as folder:
        yield folder


@contextmanager
def _progress(console: Console) -> Iterator[None]:
    """Shows reported progress on a terminal."""
    columns = (
        TextColumn("{task.completed:,.0f} of {task.total:,.0f} predictions"),
        BarColumn(),
        TimeRemainingColumn(),
    )
    progress = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
    task = progress.add_task("", total=1, visible=False)

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            progress_fields = getattr(record, "progress", {})
            progress.update(
                task, completed=progress_fields.get("done", 0), total=progress_fields.get("total", 1), visible=True
            )

    listener = Listener(logging.INFO)
    LOGGER.setLevel(logging.INFO)
    LOGGER.addHandler(listener)
    try:
        with progress:
            yield
    finally:
        LOGGER.removeHandler(listener)
