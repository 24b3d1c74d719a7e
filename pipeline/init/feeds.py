"""Decides which columns feed a hub module of several inputs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from hubline.core.errors import UserError
from hubline.pipeline.diagnostics import nearest
from hubline.pipeline.init.column_profile import ColumnProfile, ModuleInput, ModuleProfile
from hubline.pipeline.init.kinds import FRAMES

SHOWN = {"image": "images", "video": "clips", "text": "texts", "numbers": "numbers"}
Feeds = Mapping[str, tuple[ModuleInput, ...]]
"""The inputs that each column feeds, by column name."""


def named_feeds(options: Sequence[str]) -> dict[str, str]:
    """Columns by input, from options such as `--input left=photo`.

    Raises:
        UserError: if a value is not NAME=COLUMN, or an input is given twice.
    """
    pairs = [option.partition("=") for option in options]
    if wrong := [option for option, (name, _, column) in zip(options, pairs, strict=True) if not name or not column]:
        raise UserError(f"--input {wrong[0]}: must be NAME=COLUMN, an input of the module and the column that feeds it")
    if twice := [name for name, count in Counter(name for name, _, _ in pairs).items() if count > 1]:
        given = " and ".join(option for option, pair in zip(options, pairs, strict=True) if pair[0] == twice[0])
        raise UserError(f"--input: {twice[0]} is given twice ({given}); one column feeds an input")
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
        UserError: if an input is not fed, a name is unknown, a column doesn't fit its input, or clips feed some of
            several inputs that take images.
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
    fed = {each: by_name[given[each.name]] for each in module.inputs}
    return {column: tuple(each for each in _by_frame(fed) if given[each.name] == column) for column in given.values()}


def _by_frame(fed: Mapping[ModuleInput, ColumnProfile]) -> list[ModuleInput]:
    """The inputs; if an image input is fed clips, the module runs on each frame by itself, and all inputs get clips of
    as many frames.

    Raises:
        UserError: if another input is fed something else.
    """
    framed = [each for each, column in fed.items() if each.takes == "image" and not column.is_single]
    if not framed:
        return list(fed)
    if other := next((each for each in fed if each not in framed), None):
        raise UserError(
            f"--input {framed[0].name}={fed[framed[0]].name}: an input of images that is fed clips has the module run "
            f"on each frame by itself; then every input must take images and be fed clips, and {other.name} isn't"
        )
    frames = min(FRAMES, max(column.most for column in fed.values()))
    return [replace(each, frames=frames) for each in framed]


def _fits(wanted: ModuleInput, column: ColumnProfile) -> bool:
    if wanted.takes == "numbers" and column.type == "sound":
        return wanted.length > 1 and column.is_single
    if wanted.takes == "numbers":
        return column.numbers is not None and column.fewest == column.most == wanted.length
    if wanted.takes == "text":
        return column.type == "text" and column.is_single
    return column.type == "image" and (wanted.takes == "image" or not column.is_single)


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
    if column.type == "text" and not column.is_single:
        return f"up to {column.most} texts in a record"
    held = {"image": "images", "sound": "sounds", "text": "texts", "bytes": "bytes", "nothing": "nothing"}[column.type]
    return "clips" if column.type == "image" and not column.is_single else held


def _unknown(name: str, inputs: Mapping[str, ModuleInput]) -> str:
    return f"the module has no such input; {nearest(name, inputs)}"
