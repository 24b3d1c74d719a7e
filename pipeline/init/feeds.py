"""Decides which columns feed a hub module of several inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hubline.core.errors import UserError
from hubline.pipeline.diagnostics import nearest
from hubline.pipeline.init.column_profile import ColumnProfile, ModuleInput, ModuleProfile

SHOWN = {"image": "images", "video": "clips", "text": "texts", "numbers": "numbers"}
Feeds = Mapping[str, ColumnProfile]
"""The column that feeds each input, by input name."""


def named_feeds(options: Sequence[str]) -> dict[str, str]:
    """Columns by input, from options such as `--input left=photo`.

    Raises:
        UserError: if a value is not NAME=COLUMN.
    """
    pairs = [option.partition("=") for option in options]
    if wrong := [option for option, (name, _, column) in zip(options, pairs, strict=True) if not name or not column]:
        raise UserError(f"--input {wrong[0]}: must be NAME=COLUMN, an input of the module and the column that feeds it")
    return {name: column for name, _, column in pairs}


def feeds_of(module: ModuleProfile, columns: Sequence[ColumnProfile], given: Mapping[str, str]) -> Feeds:
    """The columns that feed a module of several inputs, or those that the user names.

    Args:
        module: The module.
        columns: Columns besides the label.
        given: Names of columns by input.

    Returns:
        Empty for a module with a single input of which the user says nothing: every column that fits feeds one.

    Raises:
        UserError: if an input is not fed, a name is unknown, or a column doesn't fit its input.
    """
    if not given and module.only_input:
        return {}
    by_name = {column.name: column for column in columns}
    inputs = {each.name: each for each in module.inputs}
    faults = [f"--input {name}={given[name]}: {_unknown(name, inputs)}" for name in given if name not in inputs]
    for name, column in given.items():
        if column not in by_name:
            faults.append(f"--input {name}={column}: there is no such column; {nearest(column, by_name)}")
        elif name in inputs and not _fits(inputs[name], by_name[column]):
            faults.append(
                f"--input {name}={column}: the column holds {_held(by_name[column])}, and {_asked(inputs[name])}"
            )
    if unfed := [each for each in module.inputs if each.name not in given]:
        faults.append(_question(module, unfed, columns))
    if faults:
        raise UserError("\n".join(faults))
    return {name: by_name[column] for name, column in given.items()}


def _fits(wanted: ModuleInput, column: ColumnProfile) -> bool:
    if wanted.takes == "numbers" and column.type == "sound":
        return wanted.length > 1 and column.is_single
    if wanted.takes == "numbers":
        return column.numbers is not None and column.fewest == column.most == wanted.length
    return column.type == ("text" if wanted.takes == "text" else "image")


def _question(module: ModuleProfile, unfed: Sequence[ModuleInput], columns: Sequence[ColumnProfile]) -> str:
    example = " ".join(f"--input {name}={column}" for name, column in _guess(module, columns).items())
    return (
        f"{module.handle}: the module takes {', '.join(map(_described, module.inputs))}; say which column feeds "
        f"{' and '.join(each.name for each in unfed)}, such as: {example}\n"
        f"the columns are: {', '.join(f'{each.name} ({_held(each)})' for each in columns) or 'none'}"
    )


def _guess(module: ModuleProfile, columns: Sequence[ColumnProfile]) -> dict[str, str]:
    """The first column that fits each input and feeds no other, as an example."""
    guess: dict[str, str] = {}
    for each in module.inputs:
        fitting = (column.name for column in columns if _fits(each, column) and column.name not in guess.values())
        guess[each.name] = next(fitting, "COLUMN")
    return guess


def _described(wanted: ModuleInput) -> str:
    return f"{wanted.name} ({_asked(wanted).removeprefix('the input takes ')})"


def _asked(wanted: ModuleInput) -> str:
    how_many = f"{wanted.length} " if wanted.takes == "numbers" else ""
    size = f" of {wanted.size[0]} x {wanted.size[1]}" if wanted.size else ""
    return f"the input takes {how_many}{SHOWN[wanted.takes]}{size}"


def _held(column: ColumnProfile) -> str:
    if column.numbers:
        return f"{column.most} numbers" if column.most > 1 else "numbers"
    held = {"image": "images", "sound": "sounds", "text": "texts", "bytes": "bytes", "nothing": "nothing"}[column.type]
    return "clips" if column.type == "image" and not column.is_single else held


def _unknown(name: str, inputs: Mapping[str, ModuleInput]) -> str:
    return f"the module has no such input; {nearest(name, inputs)}"
