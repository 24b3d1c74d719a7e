"""The command `hubline predict`. Imports TensorFlow only when it runs a model."""

import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TextIO

import typer

from hubline.core.errors import UserError
from hubline.pipeline.common_options import Json
from hubline.pipeline.terminal import console_on, plain

if TYPE_CHECKING:
    from hubline.components.predictor.model import ModelSpec
    from hubline.components.predictor.predict import BadItem
    from hubline.pipeline.predict.predict import Request

_HUB = "With --hub"
_OF_INPUTS = ("--image-size", "--value-range", "--column", "--min-score", "--latent", "--seed")
"""Options for modules of images, texts and vectors."""


def predict(
    given: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[MODEL] INPUT...",
            help="MODEL is a version folder, or a serving folder, whose newest version is used; omit it with --hub. "
            "An INPUT "
            "is an image, a TFRecord file of tf.Examples, a .json or .jsonl file of records by column name, a folder "
            "of these, a quoted glob, or - for JSON on standard input.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Write predictions to this folder, one file per shard, instead of printing them."
        ),
    ] = None,
    form: Annotated[
        Literal["jsonl", "tfrecord"], typer.Option("--format", help="Format of the files in --output.")
    ] = "jsonl",
    shards: Annotated[
        int | None,
        typer.Option(min=1, help="Number of files to write; by default one per file of records or per 1,024 images."),
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Number of inputs per batch.")] = 64,
    key: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Column to copy into each prediction as its key.")
    ] = None,
    bad: Annotated[
        Literal["fail", "skip"],
        typer.Option(help="Whether to stop at the first bad input, or to list bad inputs and continue."),
    ] = "fail",
    hub: Annotated[
        str | None, typer.Option(metavar="HANDLE", help="Run a hub module instead of a pushed model.")
    ] = None,
    signature: Annotated[str | None, typer.Option(help="Signature to call.", rich_help_panel=_HUB)] = None,
    output_name: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Output to keep, by default all; repeatable.", rich_help_panel=_HUB),
    ] = None,
    image_size: Annotated[
        str | None,
        typer.Option(
            metavar="H,W",
            help="Size of input images; by default the module's, otherwise the image's own.",
            rich_help_panel=_HUB,
        ),
    ] = None,
    value_range: Annotated[
        str | None,
        typer.Option(metavar="LOW,HIGH", help="Float values of black and white; by default 0,1.", rich_help_panel=_HUB),
    ] = None,
    column: Annotated[
        str | None,
        typer.Option(
            help="Column of the image, frames, text or vector; by default image, frames or text.",
            rich_help_panel=_HUB,
        ),
    ] = None,
    record_input: Annotated[
        Literal["examples"] | None,
        typer.Option(
            help="Pass records to the module as they are, as serialized tf.Examples; HANDLE may be a serving folder.",
            rich_help_panel=_HUB,
        ),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="File of class names, one per line.", rich_help_panel=_HUB),
    ] = None,
    top: Annotated[
        int | None,
        typer.Option(metavar="K", min=1, help="Number of top classes to return; by default 5.", rich_help_panel=_HUB),
    ] = None,
    min_score: Annotated[
        float | None,
        typer.Option(
            min=0.0, max=1.0, help="Minimum score of a detector's boxes; by default 0.5.", rich_help_panel=_HUB
        ),
    ] = None,
    draw: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Write the input images with predicted boxes or masks to this folder."),
    ] = None,
    sheet: Annotated[
        Path | None,
        typer.Option(metavar="FILE.png", help="Write the first 100 output images as one contact sheet."),
    ] = None,
    latent: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, help="Run a generator on N random vectors instead of inputs.", rich_help_panel=_HUB
        ),
    ] = None,
    allow_operation: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Operation by which the module may reach files or other machines; repeatable.",
            rich_help_panel=_HUB,
        ),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Random seed of the vectors; by default 0.", rich_help_panel=_HUB)
    ] = None,
    as_json: Json = False,
) -> None:
    """Predict on images, TFRecords or JSON records with a pushed model or a hub module.

    Example: hubline predict examples/digits/serving photo.png

    Example: echo '{"fare": 12.5}' | hubline predict examples/taxi/serving -

    Example: hubline predict examples/digits/serving 'data/*.tfrecord.gz' --output predictions

    Example: hubline predict --hub modules/detector photos --draw found

    Example: hubline predict --hub models/taxi --record-input examples 'data/*.tfrecord'
    """
    from hubline.pipeline.output import NOWHERE, into_log

    of_hub = {
        "--signature": signature, "--output-name": output_name or None, "--image-size": image_size,
        "--value-range": value_range, "--column": column, "--labels": labels, "--top": top, "--min-score": min_score,
        "--latent": latent, "--seed": seed, "--allow-operation": allow_operation or None,
        "--record-input": record_input,
    }  # fmt: skip
    given_of_hub = [name for name, value in of_hub.items() if value is not None]
    if hub is None and given_of_hub:
        raise UserError(f"{', '.join(given_of_hub)}: requires --hub HANDLE")
    if record_input is not None and (of_inputs := [name for name in given_of_hub if name in _OF_INPUTS]):
        raise UserError(f"--record-input examples passes records as they are; leave {', '.join(of_inputs)} out")
    models, inputs = ([hub], given or []) if hub is not None else ((given or [])[:1], (given or [])[1:])
    _check_given(models, inputs, hub, latent)
    size = None if image_size is None else _pair("--image-size", image_size, int, "224,224")
    if size is not None and min(size) < 1:
        raise UserError(f"--image-size {image_size}: must be height and width in pixels, such as 224,224")
    black, white = (0.0, 1.0) if value_range is None else _pair("--value-range", value_range, float, "-1,1")
    if not black < white:
        raise UserError(f"--value-range {value_range}: the first number must be the smaller one, such as -1,1")
    with into_log(NOWHERE) as (stdout, stderr), tempfile.TemporaryDirectory() as scratch:
        from hubline.pipeline.predict.predict import Request

        request = Request(inputs, latent, output, form, shards, batch_size, key, bad, draw, sheet)
        if hub is None:
            from hubline.components.predictor.exported_model import ExportedModelSpec

            model_spec: ModelSpec = ExportedModelSpec.of(models[0], key)
        else:
            from hubline.components.hub_module.fetch import fetch
            from hubline.components.hub_module.handle import WEB
            from hubline.components.predictor.hub_model import HubModelSpec, Options
            from hubline.components.predictor.label_file import read_labels
            from hubline.serving.versions import newest_version
            from hubline.trainer.reaching_operations import refuse_reaching
            from hubline.trainer.saved_model_loader import read_saved_model

            options = Options(
                labels=read_labels(str(labels)) if labels else (),
                top=top,
                min_score=0.5 if min_score is None else min_score,
                outputs=tuple(output_name or ()),
                value_range=(black, white),
                seed=seed or 0,
            )
            # A serving folder is no module, but its newest version is one.
            newest = newest_version(hub) if record_input is not None and not hub.startswith(WEB) else None
            path, _ = fetch(newest or hub, None, scratch)
            if record_input is not None:
                from hubline.components.predictor.records_model import RecordsModelSpec

                allowed = tuple(allow_operation or ())
                model_spec = RecordsModelSpec(path, signature, options.labels, top, options.outputs, allowed)
            else:
                try:
                    refuse_reaching(read_saved_model(path), allow_operation or ())
                except UserError as error:
                    raise UserError(f"{hub}: {error}") from None
                model_spec = HubModelSpec.alone(path, signature, size, column, options)
        _answer_or_fail(model_spec, request, as_json, stdout, stderr)


def _check_given(models: Sequence[str], inputs: Sequence[str], hub: str | None, latent: int | None) -> None:
    if not models:
        raise UserError("no model: pass a model and its inputs, or --hub HANDLE; see hubline predict --help")
    if latent is not None and inputs:
        raise UserError(f"{inputs[0]}: --latent uses random vectors and takes no input files")
    if latent is None and not inputs:
        raise UserError(f"{models[0]}: no inputs: pass images, TFRecords, JSON files or folders")


def _pair(option: str, text: str, read: Callable[[str], Any], example: str) -> tuple[Any, Any]:
    try:
        first, second = map(read, text.split(","))
    except ValueError:
        raise UserError(f"{option} {text}: must be two numbers, such as {example}") from None
    return first, second


def _answer_or_fail(model_spec: "ModelSpec", request: "Request", as_json: bool, stdout: TextIO, stderr: TextIO) -> None:
    """Like `_answer`, with exit code 1 if nothing could be predicted on."""
    from hubline.pipeline.predict.predict import NonePredictedError

    try:
        _answer(model_spec, request, as_json, stdout, stderr)
    except NonePredictedError as error:
        print(plain(str(error)), file=stderr)
        if as_json:
            print(json.dumps({"status": "failed", "error": str(error)}), file=stdout)
        raise typer.Exit(1) from None


def _answer(model_spec: "ModelSpec", request: "Request", as_json: bool, stdout: TextIO, stderr: TextIO) -> None:
    """Prints predictions as they are made, or writes them and prints their number."""
    from hubline.pipeline.predict.predict import check_free, keep_pictures, predict_one_by_one, predict_to_folder
    from hubline.pipeline.predict.show import print_json, show_predictions

    shown = stderr if as_json else stdout
    if request.output is not None:
        console = console_on(shown)
        predicted = predict_to_folder(model_spec, request, console)
        if as_json:
            print(predicted.model_dump_json(), file=stdout)
        else:
            console.print(str(predicted), soft_wrap=True)
        return
    listed: list[BadItem] = []
    check_free(request)

    def report(one: "BadItem") -> None:
        listed.append(one)
        print(plain(str(one)), file=stderr)

    with tempfile.TemporaryDirectory() as pictures:
        wants_pictures = request.draw is not None or request.sheet is not None
        predictions = predict_one_by_one(model_spec, request, report, pictures if wants_pictures else None)
        if as_json:
            print_json(stdout, predictions)
        else:
            show_predictions(console_on(stdout), predictions)
        if wants_pictures:
            keep_pictures(request, Path(pictures))
    if listed:
        print(f"{len(listed):,} inputs could not be predicted", file=stderr)
