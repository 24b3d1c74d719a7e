"""`hubline inspect`: shows the interface of a hub module."""

import json
import math
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from hubline.components.hub_module.fetch import fetch
from hubline.components.hub_module.recognise import check_whole
from hubline.core import storage
from hubline.core.errors import UserError
from hubline.trainer.hub_interface import offered
from hubline.trainer.module import Function, Module
from hubline.trainer.operations import check
from hubline.trainer.parameters import ParameterCount, read
from hubline.trainer.reaching_operations import reaching_operations
from hubline.trainer.saved_model_loader import read_saved_model


def inspect_handle(handle: str) -> tuple[Module, str, dict[str, str]]:
    """Fetches a module and reads its interface. The module is not loaded, so none of its code runs.

    Returns:
        The interface, the digest for `sha256:` in a pipeline file, and the operations that reach beyond the module,
        with what each can do.

    Raises:
        UserError: if the module cannot be fetched, is not a SavedModel, lacks its variables, or needs operations that
            the installed TensorFlow lacks.
    """
    with tempfile.TemporaryDirectory() as folder:
        path, sha256 = fetch(handle, None, folder)
        saved = read_saved_model(path)
        check_whole(handle, path, bool(saved.variables))
        try:
            check(saved.operations)
        except UserError as error:
            raise UserError(f"{handle}: {error}") from None
        return offered(saved), sha256, reaching_operations(saved)


def parameters_of(handle: str, module: Module) -> tuple[ParameterCount, ...]:
    """The numbers of parameters: of the parts of a model that a run trained, or of a module as a whole; empty if the
    module doesn't say what shapes its variables have."""
    # A local folder or a store; archives and hubs hold modules of others.
    if not handle.startswith(("http://", "https://")) and storage.is_folder(handle) and (trained := read(handle)):
        return trained
    sizes = {variable: _size(variable.shape) for variable in module.variables}
    if None in sizes.values():
        return ()
    trainable, frozen = (
        sum(size or 0 for variable, size in sizes.items() if variable.trainable is which) for which in (True, False)
    )
    return (ParameterCount(part="module", trainable=trainable, frozen=frozen),)


def about(
    handle: str, sha256: str, module: Module, reaching: Mapping[str, str], parameters: Sequence[ParameterCount]
) -> dict[str, Any]:
    """What `show_module` prints, in JSON."""
    return {
        "status": "succeeded",
        "handle": handle,
        "sha256": sha256,
        "reaching_operations": reaching,
        "parameters": [each.model_dump() for each in parameters],
        **module.model_dump(mode="json"),
    }


def _size(shape: tuple[int | None, ...] | None) -> int | None:
    return None if shape is None or None in shape else math.prod(size or 0 for size in shape)


def show_module(
    console: Console,
    handle: str,
    sha256: str,
    module: Module,
    reaching: Mapping[str, str],
    parameters: Sequence[ParameterCount] = (),
) -> None:
    """Prints a module as tables, on a console that doesn't interpret markup."""
    trainable = sum(variable.trainable for variable in module.variables)
    console.print(f"{handle}\nsha256: {sha256}", soft_wrap=True)
    console.print(f"format: {module.format}, {len(module.variables)} variables, {trainable} trainable")
    for part in parameters:
        console.print(f"{part.part}: {part.trainable:,} trainable parameters, {part.frozen:,} frozen")
    for name, reach in sorted(reaching.items()):
        console.print(f"warning: {name} {reach}; only allow_operations: [{name}] lets the module run", soft_wrap=True)
    functions = [("the module itself", function) for function in module.calls]
    functions += [(f"signature {name}", function) for name, function in sorted(module.signatures.items())]
    for name, function in functions:
        console.print(_function_table(name, function))
    if module.variables:
        table = Table("variable", "dtype", "shape", "trainable", box=None, pad_edge=False)
        for variable in module.variables:
            trained = "yes" if variable.trainable else "no"
            table.add_row(variable.name, variable.dtype, str(list(variable.shape or ())), trained)
        console.print(table)


def _function_table(name: str, function: Function) -> Table:
    table = Table(name, "", "", box=None, pad_edge=False, title_justify="left")
    for direction, tensors in (("input", function.inputs), ("output", function.outputs)):
        for tensor_name, tensor in tensors.items():
            table.add_row(f"  {direction}", tensor_name, str(tensor))
    for argument, value in function.arguments.items():
        table.add_row("  argument", argument, json.dumps(value))
    return table
