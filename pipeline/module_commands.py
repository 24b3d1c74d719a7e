"""The commands `hubline module`. Nothing here imports TensorFlow."""

import json
import re
from typing import TYPE_CHECKING, Annotated

import typer

from hubline.core.errors import UserError
from hubline.pipeline.common_options import Json
from hubline.pipeline.terminal import console_on

if TYPE_CHECKING:
    from collections.abc import Callable

    from hubline.trainer.keras_files.request import ModuleAnswer

app = typer.Typer(no_args_is_help=True, help="Make hub modules of your own models.")

Output = Annotated[str, typer.Option(metavar="DIR", help="Folder to write; must not exist.", show_default=False)]
AllowOperation = Annotated[
    list[str] | None, typer.Option(help="Operation that may reach beyond the model, such as ReadFile; repeatable.")
]


@app.command("from-keras")
def from_keras(
    source: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            help="A whole model of Keras 2 or 3: .keras, HDF5 or a SavedModel of Keras 2; or the name of an "
            "architecture of keras.applications.",
            show_default=False,
        ),
    ],
    output: Output,
    layer: Annotated[
        list[str] | None,
        typer.Option(help="Layer whose output the module gives. Repeatable: several outputs, by layer."),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(help="For an architecture: a file with its weights without the top, or none for random weights."),
    ] = None,
    size: Annotated[
        str | None, typer.Option(metavar="HEIGHTxWIDTH", help="For an architecture: image size; by default any.")
    ] = None,
    imports: Annotated[
        list[str] | None,
        typer.Option(
            "--import",
            metavar="MODULE",
            help="Python module with the model's own classes, in the current folder or on Python's path; repeatable.",
        ),
    ] = None,
    allow_lambda: Annotated[
        bool, typer.Option("--allow-lambda", help="Run the Python code of Lambda layers in the file.")
    ] = False,
    allow_operation: AllowOperation = None,
    as_json: Json = False,
) -> None:
    """Make a hub module of a Keras model or of one of its layers. Nothing is downloaded.

    The module is compared with the model on random inputs before it is written.

    Example: hubline module from-keras model.keras --output modules/mine --layer embedding
    """
    from hubline.pipeline.make_module import from_keras as make

    options = (layer or (), weights, _size(size), imports or (), allow_lambda, allow_operation or ())
    _show(output, lambda: make(source, output, *options), as_json)


@app.command("from-saved-model")
def from_saved_model(
    source: Annotated[str, typer.Argument(metavar="DIR", help="Folder of a TF2 SavedModel.", show_default=False)],
    output: Output,
    signature: Annotated[
        str | None, typer.Option(metavar="NAME", help="By default, the usual or only signature.")
    ] = None,
    allow_operation: AllowOperation = None,
    as_json: Json = False,
) -> None:
    """Make a hub module of a signature of a SavedModel.

    The module runs the signature as it was traced: it can be fine-tuned, but has no training mode, so batch
    normalization keeps its averages and dropout is off.

    Example: hubline module from-saved-model exported/1 --signature embed --output modules/mine
    """
    from hubline.pipeline.make_module import from_signature as make

    _show(output, lambda: make(source, output, signature, allow_operation or ()), as_json)


def _size(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    found = re.fullmatch(r"([1-9]\d*)x([1-9]\d*)", text)
    if found is None:
        raise UserError(f"--size {text}: must be HEIGHTxWIDTH in pixels, such as 224x224")
    return int(found[1]), int(found[2])


def _show(output: str, make: "Callable[[], ModuleAnswer]", as_json: bool) -> None:
    """Makes a module and shows it as `hubline inspect` does, with the lines for a pipeline file."""
    from hubline.pipeline.output import NOWHERE, into_log

    with into_log(NOWHERE) as (stdout, _):
        from hubline.pipeline.inspect import about, inspect_handle, parameters_of, show_module
        from hubline.pipeline.module_entry import hub_entry

        answer = make()
        module, sha256, reaching = inspect_handle(output)
        parameters = parameters_of(output, module)
        entry = hub_entry(output, sha256, module)
        if not as_json:
            console = console_on(stdout)
            show_module(console, output, sha256, module, reaching, parameters)
            console.print(
                f"\nThe module answers as the original does: the largest difference for {answer.tried} random examples "
                f"is {answer.difference:.3g}.",
                soft_wrap=True,
            )
            for note in answer.notes:
                console.print(f"note: {note}", soft_wrap=True)
            console.print(f"\nFor a pipeline file:\n\n{entry}", soft_wrap=True)
    if as_json:
        told = {"difference": answer.difference, "notes": answer.notes, "entry": entry}
        print(json.dumps(about(output, sha256, module, reaching, parameters) | told))
