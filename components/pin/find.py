"""Finds the data files of patterns, with the spans that they stand in."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from hubline.core import storage
from hubline.core.config_base import is_remote, path_fault, unescape
from hubline.core.errors import UserError
from hubline.core.spans import Place, SpanPattern

Found = dict[str, int | None]
"""The spans of files by path; None for files of a pattern without spans."""


def find(patterns: Mapping[str, str], window: int | None = None) -> dict[str, Found]:
    """The data files of each split: without spans sorted by path, with spans by span and path.

    A pattern without spans is a folder or a glob. Where patterns have spans, these are what is taken:

    - A span is there where a pattern has a file in it: an empty folder, or one that holds only names that begin with
      `.` or `_`, is no span. Neither is what doesn't fit the placeholders: other letters, no date (2024-13-40), no
      folder of a version where the pattern has `{VERSION}`.
    - Of each span the newest version is taken, of all spans the newest that `window` counts.
    - Splits have the same spans in the same versions. One that lacks what another has is an error, lest a model learn
      from a day that it isn't judged on. A split whose pattern has no span is as it is in every window.

    Args:
        patterns: The pattern of each split.
        window: How many spans; None for all.

    Raises:
        UserError: where a pattern matches no file, or a split has no file in a span of another.
    """
    spanned = {split: parsed for split, pattern in patterns.items() if (parsed := SpanPattern.parse(pattern))}
    found = _newest(spanned, window) if spanned else {}
    return {split: found.get(split) or dict.fromkeys(_matches(pattern)) for split, pattern in patterns.items()}


def _matches(pattern: str) -> list[str]:
    """The data files in a folder, or that match a glob, sorted."""
    folder = unescape(pattern).rstrip("/")
    is_folder = storage.is_folder(folder)
    found = _files([folder] if is_folder else storage.glob(pattern), is_folder)
    if not found:
        raise UserError(f"{pattern}: no files matched; data.examples is a folder or a glob of TFRecord files")
    return found


def _newest(patterns: Mapping[str, SpanPattern], window: int | None) -> dict[str, Found]:
    there = {split: _places(pattern) for split, pattern in patterns.items()}
    found: dict[Place, dict[str, list[str]]] = {}
    spans: set[int] = set()
    # From the newest on: what is older than the window is not looked into.
    for place in sorted(set().union(*there.values()), reverse=True):
        if len(spans) == window:
            break
        if place.span not in spans:
            files = {
                split: _files(there[split].get(place, ()), pattern.names_folders) for split, pattern in patterns.items()
            }
            if any(files.values()):
                spans.add(place.span)
                found[place] = files
    for split, pattern in patterns.items():
        if not found or not there[split]:
            raise UserError(f"{pattern.text}: no files matched; looked for paths such as {pattern.example}")
        _refuse_gaps(split, pattern, found)
    return {
        split: {path: place.span for place in reversed(found) for path in found[place][split]} for split in patterns
    }


def _refuse_gaps(split: str, pattern: SpanPattern, found: Mapping[Place, Mapping[str, list[str]]]) -> None:
    for place, files in found.items():
        if not files[split]:
            other = next(name for name in files if files[name])
            raise UserError(
                f"{pattern.fill(place)}: no files matched for data.split.{split}, and data.split.{other} has files of "
                "this span; each split has files of every span that is taken, in its newest version"
            )


def _places(pattern: SpanPattern) -> dict[Place, list[str]]:
    """The paths that match, by where they stand."""
    places: dict[Place, list[str]] = {}
    for path in storage.glob(pattern.glob):
        if place := pattern.place(path):
            places.setdefault(place, []).append(path)
    return places


def _files(paths: Iterable[str], enter: bool) -> list[str]:
    """The files among paths, but for those whose names begin with `.` or `_`; of folders none, or those in them."""
    found: list[str] = []
    for path in paths:
        inside = enter and storage.is_folder(path)
        found += [f"{path}/{name}" for name in storage.names(path)] if inside else [path]
    files = [
        path for path in found if not path.rpartition("/")[2].startswith((".", "_")) and not storage.is_folder(path)
    ]
    for path in files:
        _refuse_unreadable(path)
    return files


def _refuse_unreadable(path: str) -> None:
    if is_remote(path):
        return
    if fault := path_fault(path):
        raise UserError(f"{path}: {fault}")
    if Path(path).is_symlink() and not Path(path).exists():
        raise UserError(
            f"{path}: a link to {Path(path).readlink()}, where there is nothing; remove the link or mend it"
        )
