"""Predictions one at a time, or into a folder."""

import logging
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from apache_beam import Pipeline
from apache_beam.options.pipeline_options import PipelineOptions
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from hubline.components.beam import IN_ONE_PROCESS
from hubline.components.predictor.batch_predict import (
    BAD,
    DRAWN,
    PICTURES,
    Format,
    Task,
    Work,
    assemble,
    predict_shards,
    write_pictures,
)
from hubline.components.predictor.exported_model import Served
from hubline.components.predictor.inputs import Piece, counted, kept_standard_input, pieces_of, shards_of
from hubline.components.predictor.model import Asked, Model, opened
from hubline.components.predictor.pictures import sheet
from hubline.components.predictor.predict import Bad, BadPolicy, predictions
from hubline.core import storage
from hubline.core.config_base import Section, is_remote
from hubline.core.errors import DataError, UserError
from hubline.core.progress import LOGGER
from hubline.core.shard_cache import Store
from hubline.pipeline.convert.output import replacing


@dataclass(frozen=True)
class Request:
    """What to ask about, and what becomes of the answers."""

    inputs: Sequence[str] = ()
    """Files, folders, globs, or `-` for JSON on standard input."""
    latent: int | None = None
    """How many random vectors to ask about instead."""
    output: Path | None = None
    """The folder for the answers; None to print them."""
    form: Format = "jsonl"
    shards: int | None = None
    batch_size: int = 64
    key: str | None = None
    bad: BadPolicy = "fail"
    draw: Path | None = None
    """The folder for images with boxes drawn into them."""
    sheet: Path | None = None
    """The file for a sheet of all pictures."""

    def work(self, asked: Asked) -> Work:
        """What is done with every shard."""
        return Work(asked, self.form, self.batch_size, self.key, self.bad, draw=self.draw is not None)


class NonePredictedError(DataError):
    """Every item was bad, and there is nothing to give out."""

    def __init__(self, bad: int, first: Bad) -> None:
        super().__init__(f"none of {bad:,} could be predicted on; the first: {first}")


class Predicted(Section):
    """What came of predictions into a folder."""

    status: Literal["succeeded"] = "succeeded"
    output: str
    """The folder."""
    files: tuple[str, ...]
    """Those with predictions; in this order they are in that of the inputs."""
    predicted: int
    bad: int
    """Items that could not be predicted on; bad.jsonl lists them."""
    pictures: int = 0
    """The files in the folder of pictures."""
    seconds: float
    """Without the time that loading the model took."""

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
    """What a pushed model says of images and records, in the order given, one at a time.

    Args:
        model: A version's folder, or a serving folder, whose newest version answers.
        inputs: As `Request` has them.

    Yields:
        For each image or record: `input`, `record` (its number from 0; None for an image), and of a regression `value`,
        else `scores` by class, and `label` and `score`, with a `box` where the model tells one; or of any number of
        classes `chosen`, the highest score first.

    Raises:
        UserError: where a file or the model is missing, or an input cannot be predicted on.
    """
    yield from predict_one_by_one(Served.of(model), Request(inputs), _never)


def _never(bad: Bad) -> None:
    raise AssertionError(bad)  # a bad item is an error


def predict_one_by_one(
    asked: Asked, request: Request, tell: Callable[[Bad], None], pictures: str | None = None
) -> Iterator[dict[str, Any]]:
    """Predictions as JSON has them, in order; nothing is held but a batch.

    Args:
        asked: What to ask.
        request: About what.
        tell: Hears of bad items, where they may be.
        pictures: A folder for pictures.

    Raises:
        UserError: where what is asked does not fit the model, an input is missing, or a bad item may not be.
        NonePredictedError: where all items are bad.
    """
    pieces = _pieces(request)
    model = opened(asked)
    _check(model, pieces, request)
    work = request.work(asked)
    bad: list[Bad] = []
    is_one_told = False

    def hear(one: Bad) -> None:
        bad.append(one)
        tell(one)

    for prediction in predictions(model, pieces, request.batch_size, request.key, request.bad, hear):
        is_one_told = True
        # Of a pushed model they are beside the answer; of a hub module they are what it gives.
        if prediction.answer.pictures and not isinstance(asked, Served) and pictures is None:
            named = ", ".join(prediction.answer.pictures)
            raise UserError(f"the module gives pictures ({named}); --output FOLDER takes them, or --sheet FILE.png")
        yield prediction.row | (write_pictures(work, prediction, pictures) if pictures else {})
    if bad and not is_one_told:
        raise NonePredictedError(len(bad), bad[0])


def predict_to_folder(
    asked: Asked, request: Request, console: Console, beam: Sequence[str] = IN_ONE_PROCESS
) -> Predicted:
    """Writes predictions to a folder, a file for each shard; at the end it is there whole, or not at all.

    Args:
        asked: What to ask.
        request: About what, and where to.
        console: Shows progress on a terminal.
        beam: The arguments of Beam's pipeline.

    Raises:
        UserError: as `predict_one_by_one`, and where the folder holds anything.
        NonePredictedError: where all items are bad; nothing is written.
    """
    assert request.output is not None
    output = request.output.resolve()
    check_free(request)
    pieces = _pieces(request)
    model = opened(asked)
    _check(model, pieces, request)
    with replacing(output) as folder, _scratch(output) as scratch, _progress(console):
        began = time.monotonic()
        whole = [counted(piece) for piece in kept_standard_input(pieces, scratch)]
        shards = shards_of(whole, request.shards)
        tasks = [Task(shard, f"{number:05d}") for number, shard in enumerate(shards)]
        store = Store(f"{scratch}/store")
        pipeline = lambda: Pipeline(options=PipelineOptions(list(beam)))  # noqa: E731
        made = predict_shards(request.work(asked), tasks, store, f"{scratch}/complaints", pipeline)
        names = assemble(tasks, made, store, str(folder), request.form)
        predicted, bad = sum(one.predicted for one in made), sum(one.bad for one in made)
        if bad and not predicted:
            first = (folder / BAD).read_text().partition("\n")[0]
            raise NonePredictedError(bad, Bad.model_validate_json(first))
        seconds = round(time.monotonic() - began, 3)
        keep_pictures(request, folder)
        pictures = sum(1 for _ in (folder / PICTURES).glob("*"))
    return Predicted(
        output=str(output), files=tuple(names), predicted=predicted, bad=bad, seconds=seconds, pictures=pictures
    )


def check_free(request: Request) -> None:
    """Makes sure that what is to be written takes the place of nothing.

    Raises:
        UserError: where a folder holds something, or is not on this machine.
    """
    for option, folder in (("--output", request.output), ("--draw", request.draw)):
        if folder is None:
            continue
        if is_remote(str(folder)) or str(folder).startswith(("gs:/", "s3:/")):
            raise UserError(f"{option} {folder}: takes a folder on this machine")
        if folder.exists() and not folder.is_dir():
            raise UserError(f"{option} {folder}: is a file; it takes a folder")
        if folder.exists() and any(folder.iterdir()):
            raise UserError(f"{option} {folder}: holds files already; give another folder")


def keep_pictures(request: Request, folder: Path) -> None:
    """Puts the pictures in a folder where they were asked for: drawn ones into theirs, and all on one sheet.

    Raises:
        UserError: where there is none for a sheet.
    """
    if request.sheet is not None:
        found = sorted((folder / PICTURES).glob("*")) or sorted((folder / DRAWN).glob("*"))
        if not found:
            raise UserError(
                "--sheet: there are no pictures; the module gives none, and --draw makes them of what tells boxes"
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


def _pieces(request: Request) -> list[Piece]:
    if request.latent is not None:
        return [Piece("latent", "latent", "", 0, count=request.latent)]
    return pieces_of(request.inputs)


def _check(model: Model, pieces: Sequence[Piece], request: Request) -> None:
    """Raises a UserError that names a file of each sort that the model does not take."""
    first_of_sort = {piece.sort: piece.input for piece in reversed(pieces)}
    faults = []
    if request.draw is not None and not model.finds:
        faults.append(
            "--draw: there is nothing to draw: a hub module gives detection_boxes and detection_scores, a pushed model "
            "a box or a mask, and this one does not"
        )
    for sort, name in first_of_sort.items():
        try:
            model.check(sort)
        except UserError as error:
            faults.append(str(error) if sort == "latent" else f"{name}: {error}")
    if faults:
        raise UserError("\n".join(faults))


@contextmanager
def _scratch(output: Path) -> Iterator[str]:
    """A hidden folder beside the output, on the same disk: what is made there is linked and not copied."""
    with tempfile.TemporaryDirectory(prefix=f".{output.name}-", dir=output.parent) as folder:
        yield folder


@contextmanager
def _progress(console: Console) -> Iterator[None]:
    """Shows on a terminal what is reported."""
    columns = (
        TextColumn("{task.completed:,.0f} of {task.total:,.0f} predictions"),
        BarColumn(),
        TimeRemainingColumn(),
    )
    progress = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
    task = progress.add_task("", total=1, visible=False)

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said = getattr(record, "progress", {})
            progress.update(task, completed=said.get("done", 0), total=said.get("total", 1), visible=True)

    listener = Listener(logging.INFO)
    LOGGER.setLevel(logging.INFO)
    LOGGER.addHandler(listener)
    try:
        with progress:
            yield
    finally:
        LOGGER.removeHandler(listener)
