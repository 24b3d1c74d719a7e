"""`hubline init`: from data to a pipeline file."""

from __future__ import annotations

import os
import shlex
from collections.abc import Collection, Sequence, Set
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from rich.console import Console

from hubline.core import storage
from hubline.core.config_base import escape, is_remote, normalized
from hubline.core.errors import UserError
from hubline.pipeline.init.backbone import backbone_named
from hubline.pipeline.init.class_folders import class_folders_in
from hubline.pipeline.init.column_profile import DataProfile
from hubline.pipeline.init.feature import described_broken
from hubline.pipeline.init.feeds import named_feeds
from hubline.pipeline.init.folders import converted_folders, refuse_mixed_folder, within_the_data
from hubline.pipeline.init.networks import Networks
from hubline.pipeline.init.profile import look
from hubline.pipeline.init.suggest import Suggestion, suggest
from hubline.pipeline.init.tables import converted_tables, refuse_avro, tables_in
from hubline.pipeline.init.write import as_yaml, name_of, refuse_unreadable, seen, text_of


def init(
    examples: str,
    label: str | None,
    hub: str | None,
    output: Path,
    overwrite: bool,
    console: Console,
    kept: Collection[str] = (),
    backbone: str | None = None,
    weights: str | None = None,
    inputs: Sequence[str] = (),
) -> dict[str, Any]:
    """Profiles data and writes a pipeline file for it.

    Args:
        examples: A file, folder, glob or span pattern of TFRecords; or tables, or a folder of images, texts or sounds
            with a folder per class, which are converted first.
        label: Label column; None to find it by name.
        hub: Handle of a module for the images, clips, texts or sounds, if any.
        output: The file to write.
        overwrite: Whether it may exist.
        console: Shows progress and the outcome.
        kept: Columns that become features although they look like identifiers or bookkeeping.
        backbone: Network for the images, by name, if any.
        weights: File with its weights, or `none`.
        inputs: Columns that feed inputs of the module, as `NAME=COLUMN`.

    Returns:
        The outcome in machine-readable form.

    Raises:
        UserError: if the file exists, the data cannot be read or learned from, or the module doesn't fit.
    """
    _refuse_output(output, overwrite, examples)
    refuse_avro(examples)
    tables = tables_in(examples)
    command = None if tables else class_folders_in(examples)
    if not tables and not command:
        refuse_mixed_folder(examples)
    folder = output.absolute().parent
    networks = _networks(hub, backbone, weights, inputs, folder, console)
    dates: Set[str] = frozenset()
    with ExitStack() as unfinished:
        made = None
        if tables:
            made = unfinished.enter_context(converted_tables(tables, examples, folder, label, overwrite, console))
        elif command:
            made = unfinished.enter_context(converted_folders(command, examples, folder, overwrite, console))
        if made:
            examples, dates = str(made.folder), made.dates
        data = look(_absolute(examples), console, dates)
        suggestion = suggest(data, label, networks, kept)
        text = text_of(suggestion, data, _relative(_absolute(examples), folder), name_of(folder))
        refuse_unreadable(text, output)
        storage.write_text(str(output), text)
    _say(console, data, suggestion, output)
    return {
        "status": "succeeded",
        "file": str(output),
        "examples": examples,
        "records": data.records,
        "total": data.total,
        "sampled": not data.is_whole,
        "label": suggestion.label.settings,
        "features": {feature.name: feature.settings for feature in suggestion.features},
        "left_out": suggestion.left_out
        | dict.fromkeys((each.name for each in suggestion.without_network), "no hub module or backbone"),
    }


def _networks(
    hub: str | None,
    backbone: str | None,
    weights: str | None,
    inputs: Sequence[str],
    folder: Path,
    console: Console,
) -> Networks:
    """The networks that the options name, for a pipeline file in a folder."""
    if weights and not backbone:
        raise UserError(f"--weights {weights}: requires --backbone NAME, the network that they are of")
    if inputs and not hub:
        raise UserError("--input requires --hub HANDLE, the module whose inputs are fed")
    chosen = backbone_named(backbone, weights, folder) if backbone else None
    if hub is None:
        return Networks(None, chosen)
    # Imported here because TensorFlow Hub and TFX take seconds to import.
    from hubline.pipeline.init.module import look_at_module

    with console.status(f"looking at {hub}"):
        module = look_at_module(hub, hub if is_remote(hub) else os.path.relpath(hub, folder))
    return Networks(module, chosen, named_feeds(inputs))


def _refuse_output(output: Path, overwrite: bool, examples: str) -> None:
    if output.is_dir():
        raise UserError(f"{output}: this is a folder; pass a file, such as {output / 'pipeline.yaml'}")
    if not output.absolute().parent.is_dir():
        raise UserError(f"{output.parent}: there is no such folder")
    if Path(examples).is_dir() and Path(examples).samefile(output.parent):
        raise UserError(f"{output}: {within_the_data(Path(examples))}")
    if output.exists() and not overwrite:
        raise UserError(f"{output}: already exists; choose another file with --output, or pass --overwrite")


def _absolute(examples: str) -> str:
    """An absolute pattern. The path of an existing file or folder is taken literally."""
    if is_remote(examples):
        return normalized(examples)
    given = Path(examples).expanduser()
    if given.exists():
        return escape(os.path.abspath(given))  # noqa: PTH100
    return os.path.normpath(os.path.join(escape(os.getcwd()), given))  # noqa: PTH109, PTH118


def _relative(pattern: str, folder: Path) -> str:
    """The pattern relative to a folder, for a pipeline file in it."""
    return pattern if is_remote(pattern) else os.path.relpath(pattern, escape(str(folder)))


def _say(console: Console, data: DataProfile, suggestion: Suggestion, output: Path) -> None:
    def say(text: str, style: str | None = None) -> None:
        console.print(text, style=style, soft_wrap=True)

    say(f"Looked at {seen(data)}.")
    for each in data.columns:
        if each.broken:
            say(f"  {each.name}: {described_broken(each)}", "yellow")
    for feature in suggestion.features:
        say(f"  {feature.name}: {as_yaml(feature.settings)}")
    for feature in suggestion.without_network:
        say(f"  {feature.name}: {feature.settings['kind']}, commented out; {suggestion.offer}", "yellow")
    for column, reason in suggestion.left_out.items():
        say(f"  {column}: left out, {reason}", "yellow")
    say(f"  the label: {as_yaml(suggestion.label.settings)}")
    say(f"Wrote {output}.", "green")
    say(f"Next:   read it, then hubline run {shlex.quote(str(output))}")
