"""`hubline inspect`: what a hub module offers."""

import json
import tempfile

from rich.console import Console
from rich.table import Table

from components.hub_module.fetch import fetch
from trainer.loading import inspect
from trainer.module import Function, Module


def inspect_handle(handle: str) -> tuple[Module, str]:
    """Fetches and inspects a module.

    Returns:
        What it offers, and its digest, as `sha256:` in a pipeline file takes it.

    Raises:
        UserError: where it cannot be had, or is not a SavedModel.
    """
    with tempfile.TemporaryDirectory() as folder:
        path, sha256 = fetch(handle, None, folder)
        return inspect(path), sha256


def show_module(console: Console, handle: str, sha256: str, module: Module) -> None:
    """Prints a module as tables."""
    trainable = sum(variable.trainable for variable in module.variables)
    console.print(f"{handle}\nsha256: {sha256}", soft_wrap=True)
    console.print(f"format: {module.format}, {len(module.variables)} variables, {trainable} trainable")
    functions = [("the module itself", function) for function in module.calls]
    functions += [(f"signature {name}", function) for name, function in sorted(module.signatures.items())]
    for name, function in functions:
        console.print(_function_table(name, function))
    if module.variables:
        table = Table("variable", "dtype", "shape", "trainable", box=None, pad_edge=False)
        for variable in module.variables:
            table.add_row(
                variable.name, variable.dtype, str(list(variable.shape or ())), "yes" if variable.trainable else "no"
            )
        console.print(table)


def _function_table(name: str, function: Function) -> Table:
    table = Table(name, "", "", box=None, pad_edge=False, title_justify="left")
    for direction, tensors in (("input", function.inputs), ("output", function.outputs)):
        for tensor_name, tensor in tensors.items():
            table.add_row(f"  {direction}", tensor_name, str(tensor))
    for argument, value in function.arguments.items():
        table.add_row("  argument", argument, json.dumps(value))
    return table
