"""Finds the data files that patterns match, with their spans."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from hubline.core import storage
from hubline.core.config_base import escape, has_wildcards, is_remote, path_fault, unescape
from hubline.core.errors import UserError
from hubline.core.spans import SpanPattern, SpanVersion
from hubline.core.storage import Listing, Stat


class FoundFile(NamedTuple):
    """A data file as it was listed."""

    stat: Stat
    span: int | None
    """None for files of a pattern without spans."""


Found = dict[str, FoundFile]
"""The files by path."""
_Files = dict[str, Stat]


def find(patterns: Mapping[str, str], window: int | None = None) -> dict[str, Found]:
    """Data files of each split, sorted by path, or by span and path if the pattern has spans.

    A pattern without spans is a folder or a glob. For patterns with spans:

    - A span exists if a pattern has a file in it. Empty folders, and folders that hold only names starting with `.` or
      `_`, are not spans; nor is anything that doesn't fit the placeholders, such as letters, an invalid date
      (2024-13-40), or a span without a version folder if the pattern contains `{VERSION}`.
    - Each span is read in its newest version; `window` limits the number of spans, newest first.
    - All splits have the same spans in the same versions. A span missing from one split is an error, so that a model
      never trains on a day that it isn't evaluated on. A split whose pattern has no span is the same in every window.

    Args:
        patterns: Pattern of each split.
        window: Number of spans; None for all.

    Raises:
        UserError: if a pattern matches no file, or a split lacks a span that another split has.
    """
    spanned = {split: parsed for split, pattern in patterns.items() if (parsed := SpanPattern.parse(pattern))}
    found = _newest(spanned, window) if spanned else {}
    return {split: found.get(split) or _matches(pattern) for split, pattern in patterns.items()}


def _matches(pattern: str) -> Found:
    """The data files in a folder or matching a glob, sorted. The path of an existing file or folder is taken
    literally."""
    literal = unescape(pattern).rstrip("/")
    is_folder = storage.is_folder(literal)
    found = _files({literal: None}, enter=True) if is_folder else _files(storage.matching(_in_existing_folder(pattern)))
    if not found and not is_folder and storage.exists(literal):
        found = _files({literal: storage.stat(literal)})
    if not found:
        raise UserError(f"{pattern}: no files matched; data.examples must be a folder or a glob of TFRecord files")
    return {path: FoundFile(stat, None) for path, stat in found.items()}


def _in_existing_folder(pattern: str) -> str:
    """Takes the folder of a pattern literally if it exists, whatever characters its name contains."""
    folder, slash, name = pattern.rpartition("/")
    if has_wildcards(folder) and storage.is_folder(unescape(folder)):
        return f"{escape(unescape(folder))}{slash}{name}"
    return pattern


def _newest(patterns: Mapping[str, SpanPattern], window: int | None) -> dict[str, Found]:
    there = {split: _places(pattern) for split, pattern in patterns.items()}
    found: dict[SpanVersion, dict[str, _Files]] = {}
    spans: set[int] = set()
    # Newest first, so that spans older than the window are not listed.
    for place in sorted(set().union(*there.values()), reverse=True):
        if len(spans) == window:
            break
        if place.span not in spans:
            files = {
                split: _files(there[split].get(place, {}), pattern.names_folders) for split, pattern in patterns.items()
            }
            if any(files.values()):
                spans.add(place.span)
                found[place] = files
    for split, pattern in patterns.items():
        if not found or not there[split]:
            raise UserError(f"{pattern.text}: no files matched; expected paths such as {pattern.example}")
        _refuse_gaps(split, pattern, found)
    return {
        split: {
            path: FoundFile(stat, place.span) for place in reversed(found) for path, stat in found[place][split].items()
        }
        for split in patterns
    }


def _refuse_gaps(split: str, pattern: SpanPattern, found: Mapping[SpanVersion, Mapping[str, _Files]]) -> None:
    for place, files in found.items():
        if not files[split]:
            other = next(name for name in files if files[name])
            raise UserError(
                f"{pattern.fill(place)}: no files matched for data.split.{split}, but data.split.{other} has files of "
                "this span; each split needs files of every span that is read, in its newest version"
            )


def _places(pattern: SpanPattern) -> dict[SpanVersion, Listing]:
    """What matches, by span and version."""
    places: dict[SpanVersion, Listing] = {}
    for path, stat in storage.matching(pattern.glob).items():
        if place := pattern.place(path):
            places.setdefault(place, {})[path] = stat
    return places


def _files(listed: Listing, enter: bool = False) -> _Files:
    """Filters out names that begin with `.` or `_`. Folders are replaced by the files in them, or dropped unless
    `enter`."""
    found: _Files = {}
    for path, stat in listed.items():
        if stat is None and not storage.is_folder(path):  # an object that is named like a folder
            stat = storage.stat(path)
        inside = {path: stat} if stat else storage.listing(path) if enter else {}
        for each, of_file in inside.items():
            if of_file and not each.rpartition("/")[2].startswith((".", "_")):
                _refuse_unreadable(each)
                found[each] = of_file
    return found


def _refuse_unreadable(path: str) -> None:
    if is_remote(path):
        return
    if fault := path_fault(path):
        raise UserError(f"{path}: {fault}")
    if Path(path).is_symlink() and not Path(path).exists():
        raise UserError(f"{path}: a broken link to {Path(path).readlink()}; remove or repair the link")
