"""The `hubline` command. Nothing here imports TensorFlow or TFX before a command needs it."""

import io
import json
import platform
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from hubline.core.garbage import collect_none_at_exit
from hubline.core.package_versions import version
from hubline.pipeline.common_options import File, From, Json, Settings, Until
from hubline.pipeline.convert.cli import app as convert
from hubline.pipeline.endings import run_command
from hubline.pipeline.kubeflow.compile_command import compile_
from hubline.pipeline.kubeflow.schedule_commands import app as schedule
from hubline.pipeline.kubeflow.submit_command import submit
from hubline.pipeline.models_commands import app as models
from hubline.pipeline.module_commands import app as module
from hubline.pipeline.plan_commands import plan, why
from hubline.pipeline.predict.cli import predict
from hubline.pipeline.runs_commands import app as runs
from hubline.pipeline.schema_command import schema
from hubline.pipeline.serve_command import serve
from hubline.pipeline.terminal import console_on, plain

app = typer.Typer(
    name="hubline",
    help="Train, validate and serve models from TFRecords and TensorFlow Hub modules, described by one pipeline file.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.add_typer(convert, name="convert")
app.add_typer(schedule, name="schedule")
app.add_typer(runs, name="runs")
app.add_typer(models, name="models")
app.add_typer(module, name="module")


def main() -> None:
    """Entry point."""
    collect_none_at_exit()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # characters that the terminal cannot show are replaced
    run_command(app)


def _print_versions(wanted: bool) -> None:
    if wanted:
        libraries = (f"{name} {version(package)}" for name, package in _LIBRARIES.items())
        print(f"hubline {version('hubline')} ({', '.join(libraries)}, Python {platform.python_version()})")
        raise typer.Exit


_LIBRARIES = {"TFX": "tfx", "TensorFlow": "tensorflow"}


@app.callback()
def options(
    show_version: Annotated[
        bool, typer.Option("--version", callback=_print_versions, is_eager=True, help="Show the versions and exit.")
    ] = False,
) -> None:
    """Options of the command itself."""


@app.command()
def init(
    data: Annotated[
        str,
        typer.Argument(
            help="TFRecords: a file, a folder, or a quoted pattern, as for data.examples; or tables, or a folder of "
            "images, texts or sounds with a folder per class, which are converted.",
            show_default=False,
        ),
    ],
    label: Annotated[
        str | None, typer.Option(help="Column to predict; by default the column named label, target, class or y.")
    ] = None,
    hub: Annotated[
        str | None, typer.Option(help="Handle of a hub module for the images, clips, texts or sounds.")
    ] = None,
    inputs: Annotated[
        list[str] | None,
        typer.Option(
            "--input", metavar="NAME=COLUMN", help="Column that feeds an input of the hub module; repeatable."
        ),
    ] = None,
    backbone: Annotated[
        str | None,
        typer.Option(
            help="Network for the images instead of a hub module: lenet5, resnet34, alexnet, or one of "
            "keras.applications, such as mobilenet_v2."
        ),
    ] = None,
    weights: Annotated[
        str | None, typer.Option(help="File with the weights of the backbone, without its top; by default none.")
    ] = None,
    keep: Annotated[
        list[str] | None,
        typer.Option(help="Column to keep although it looks like an identifier or bookkeeping; repeatable."),
    ] = None,
    output: Annotated[Path, typer.Option(help="Pipeline file to write.")] = Path("pipeline.yaml"),
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an existing file, and converted data.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Profile data and write a commented pipeline file for it.

    Example: hubline init 'data/*.tfrecord.gz' --label species

    Example: hubline init trips.csv --label fare

    Example: hubline init photos --backbone resnet34
    """
    from hubline.pipeline.output import NOWHERE, into_log

    with into_log(NOWHERE) as (stdout, stderr):
        from hubline.pipeline.init.command import init as init_file

        console = console_on(stderr if as_json else stdout)
        outcome = init_file(data, label, hub, output, overwrite, console, keep or (), backbone, weights, inputs or ())
    if as_json:
        print(json.dumps(outcome))


@app.command()
def check(
    file: Annotated[
        Path, typer.Argument(help="Pipeline file (YAML); - for standard input.", show_default=False, allow_dash=True)
    ],
    files: Annotated[
        bool, typer.Option(help="Also check local data, modules and folders, and the first records of the data.")
    ] = True,
    base: Annotated[
        Path | None,
        typer.Option(
            help="Folder that relative paths start at; by default the file's folder, and with - the current folder.",
            show_default=False,
        ),
    ] = None,
    settings: Settings = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print errors and warnings only.")] = False,
    as_json: Json = False,
) -> None:
    """Report every error in a pipeline file, in about a second and without TensorFlow.

    Example: hubline check examples/digits/pipeline.yaml

    Example: generate | hubline check - --base examples/digits
    """
    from hubline.pipeline.preflight import check as check_file

    pipeline, source, warnings = check_file(file, settings or (), look=files, base=base)
    alert = pipeline.kubeflow.alert
    told = [*map(str, warnings), *([alert.warning] if alert and alert.warning else [])]
    for warning in told:
        console_on(sys.stderr).print(f"Warning: {warning}", style="yellow", soft_wrap=True)
    if as_json:
        print(json.dumps({"status": "succeeded", "name": pipeline.name, "warnings": told}))
    elif not quiet:
        console_on(sys.stdout).print(f"{source.name}: no errors", soft_wrap=True)


@app.command()
def run(
    file: File,
    root: Annotated[
        Path | None,
        typer.Option(
            help="Folder for artifacts, metadata, checkpoints and logs; by default .hubline/NAME next to the file."
        ),
    ] = None,
    fresh_metadata: Annotated[
        bool,
        typer.Option(
            "--fresh-metadata",
            help="Start a new metadata database, for example if the old one is damaged. Data, served models, "
            "checkpoints "
            "and the store are kept.",
        ),
    ] = False,
    settings: Settings = None,
    start: From = None,
    end: Until = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print warnings and errors only.")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Also print the messages that the run's log takes.")
    ] = False,
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        typer.Option(help="The least severe messages that the run's log takes."),
    ] = "info",
    as_json: Json = False,
) -> None:
    """Run a pipeline on this machine: ingest, train, evaluate, push; with task: infer, ingest and predict.

    Unchanged steps are cached. Exit codes: 0 success; 1 the run failed or the model is not blessed; 2 an error in the
    file or options; 130 or 143 stopped by SIGINT (Ctrl-C) or SIGTERM. A second signal ends the run immediately.

    Example: hubline run examples/digits/pipeline.yaml

    Example: hubline run examples/digits/pipeline.yaml --set training.epochs=3 --set model.head.hidden=[32]

    Example: hubline run examples/digits/pipeline.yaml --from Embedder --until Trainer
    """
    if quiet and verbose:
        raise typer.BadParameter("--quiet and --verbose exclude each other")
    from hubline.pipeline.partial import Part
    from hubline.pipeline.run import run as run_file
    from hubline.pipeline.verbosity import Verbosity

    result, code = run_file(
        file,
        root,
        quiet=as_json,
        fresh_metadata=fresh_metadata,
        settings=settings or (),
        part=Part(start, end),
        verbosity=Verbosity(quiet, verbose, log_level),
    )
    if as_json:
        print(json.dumps(result.model_dump(mode="json")))
    raise typer.Exit(code)


@app.command()
def report(
    file: File,
    root: Annotated[Path | None, typer.Option(help="Same as for hubline run.")] = None,
    show: Annotated[bool, typer.Option("--open", help="Also open the report in a browser.")] = False,
    as_json: Json = False,
) -> None:
    """Print the path of the latest run's HTML report.

    Example: hubline report examples/digits/pipeline.yaml --open
    """
    from hubline.pipeline.report import newest_page

    page = newest_page(file, root)
    print(json.dumps({"status": "succeeded", "report": str(page)}) if as_json else plain(str(page)))
    if show:
        typer.launch(str(page))


@app.command()
def tensorboard(
    file: File,
    root: Annotated[
        str | None,
        typer.Option(help="Same as for hubline run; or a pipeline root of Kubeflow, also in a store (s3://, gs://)."),
    ] = None,
    host: Annotated[str, typer.Option(help="Host name or address to listen on.")] = "localhost",
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Port; 0 for any free one. By default 6006, or the next free one."),
    ] = None,
    browser: Annotated[bool, typer.Option(help="Also open TensorBoard in a browser.")] = True,
    as_json: Json = False,
) -> None:
    """Open TensorBoard over all runs of a pipeline, also those that are still training. Ctrl-C ends it.

    Example: hubline tensorboard examples/digits/pipeline.yaml --no-browser
    """
    from hubline.pipeline.tensorboard import started

    with started(file, root, host, port) as board:
        result = {"status": "succeeded", "url": board.url, "runs": board.runs}
        told = f"{len(board.runs)} run{'s' if len(board.runs) > 1 else ''} of {file} at {board.url}"
        print(json.dumps(result) if as_json else plain(f"{told} (Ctrl-C ends TensorBoard)"), flush=True)
        if browser:
            typer.launch(board.url)
        board.watch()


@app.command()
def inspect(
    handle: Annotated[
        str,
        typer.Argument(
            help="Module handle (a folder, a .tar.gz archive, gs://, s3://, tfhub.dev or Kaggle), or a checkpoint: its "
            "path without .index, or its folder.",
            show_default=False,
        ),
    ],
    as_json: Json = False,
) -> None:
    """Show the signatures, inputs, outputs, variables and digest of a hub module or a trained model, or the variables
    of a checkpoint.

    Example: hubline inspect examples/digits/modules/digits
    """
    from hubline.pipeline.output import NOWHERE, into_log

    with into_log(NOWHERE) as (stdout, _):
        from hubline.pipeline.inspect import about, inspect_handle, parameters_of, show_module
        from hubline.pipeline.inspect_checkpoint import checkpoint_at, inspect_checkpoint, show_checkpoint

        if prefix := checkpoint_at(handle):
            content = inspect_checkpoint(prefix)
            outcome = {"status": "succeeded", **content.model_dump(mode="json")}
            if not as_json:
                show_checkpoint(console_on(stdout), content)
        else:
            offer, sha256, reaching = inspect_handle(handle)
            parameters = parameters_of(handle, offer)
            outcome = about(handle, sha256, offer, reaching, parameters)
            if not as_json:
                show_module(console_on(stdout), handle, sha256, offer, reaching, parameters)
    if as_json:
        print(json.dumps(outcome))


app.command()(plan)
app.command()(why)
app.command()(predict)
app.command()(serve)


app.command()(schema)
app.command("compile")(compile_)
app.command()(submit)


@app.command()
def reference(
    output: Annotated[Path | None, typer.Option(help="File to write; by default standard output.")] = None,
    form: Annotated[
        Literal["json", "markdown"], typer.Option(help="Format: a JSON schema or a Markdown reference.")
    ] = "json",
) -> None:
    """Print the format of pipeline files: a JSON schema for editors, or a Markdown reference.

    Example: hubline reference --output pipeline/schema.json
    """
    from hubline.core import storage
    from hubline.pipeline.load import json_schema
    from hubline.pipeline.reference import reference as as_markdown

    text = as_markdown() if form == "markdown" else json.dumps(json_schema(), indent=2) + "\n"
    if output is None:
        sys.stdout.write(text)
    else:
        storage.write_text(str(output), text)


if __name__ == "__main__":
    main()
