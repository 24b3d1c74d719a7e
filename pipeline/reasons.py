"""Why a step runs: how what it gets differs from what it got when it last ran."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from hubline.artifacts import file_list
from hubline.artifacts.pins import PinnedFiles
from hubline.components.node import CODE
from hubline.components.step import Step
from hubline.core.config_base import Section
from hubline.core.errors import UserError
from hubline.core.nested import flat
from hubline.pipeline.lineage import Execution
from hubline.pipeline.paths import Paths
from hubline.pipeline.runs import Run, by_path

_FILES = "files"
"""Property of ExampleGen with the digest of a list."""
_DIGEST = re.compile("[0-9a-f]{32,}")
_SHOWN = 3


class Change(Section):
    """A value that is another than before. None if there was, or is, none."""

    key: str
    before: Any = None
    after: Any = None


class Reason(Section):
    """A reason why a step runs."""

    kind: Literal["first", "from", "step", "input", "property", "code", "lost"]
    """It never ran; `--from`; a step before it runs; an input is another; a property, or the code, changed; or the
    earlier result is gone or damaged, or is a serving check that failed."""
    text: str
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True)
class Given:
    """What a step gets in a run."""

    properties: Mapping[str, str | int]
    versions: Mapping[str, str]
    """Versions of Python and the packages."""


@dataclass(frozen=True)
class Records:
    """What is known of earlier runs."""

    places: Paths
    files: Mapping[str, PinnedFiles] = field(default_factory=dict)
    """Lists of data files that aren't kept, by digest."""

    def versions(self, run: str) -> Mapping[str, str]:
        """Versions that a run was run with; empty if they aren't known."""
        inputs = Run(self.places.runs / run).inputs if run else None
        return inputs.versions if inputs else {}

    def is_known(self, run: str) -> bool:
        """Whether there is a folder of this run."""
        return bool(run) and Path(self.places.runs, run).is_dir()

    def listed(self, digest: str) -> Mapping[str, Any]:
        """Data files of a list, by split and path; empty if the list is gone."""
        if digest in self.files:
            return by_path(self.files[digest])
        try:
            return by_path(file_list.read(digest, str(self.places.pins)))
        except UserError:
            return {}


def changed_properties(step: Step, last: Execution, now: Given, records: Records) -> Iterator[Reason]:
    """The properties of a step that are others than the last time, with what changed in them."""
    for key in [*step.properties, *([CODE] if step.is_cached_on_code else [])]:
        before, after = last.properties.get(key), now.properties.get(key)
        if before == after:
            continue
        if key == CODE:
            yield _changed_code(records.versions(last.run), now.versions)
        elif key == _FILES:
            yield _reason("data files", _changes(records.listed(str(before)), records.listed(str(after))))
        else:
            name = step.properties[key].replace("`", "").partition(":")[0].partition(" (")[0]
            yield _reason(name, _changes(_values(before), _values(after)))


def _changed_code(before: Mapping[str, str], after: Mapping[str, str]) -> Reason:
    changes = _changes(before, after) if before and after else ()
    of_packages = tuple(each for each in changes if each.key != "python")
    what = "versions of packages" if of_packages else "its code"
    return _reason(what, of_packages).model_copy(update={"kind": "code"})


def _reason(what: str, changes: tuple[Change, ...]) -> Reason:
    told = [_text(each) for each in changes if not (_is_digest(each.before) or _is_digest(each.after))]
    more = [f"{len(told) - _SHOWN} more"] if len(told) > _SHOWN else []
    shown = ", ".join([*told[:_SHOWN], *more])
    return Reason(kind="property", text=f"{what} changed{shown and f': {shown}'}", changes=changes)


def _values(value: str | int | None) -> Mapping[str, Any]:
    """The values in a property, which may be JSON, by key."""
    try:
        read = json.loads(str(value or "{}"))
    except ValueError:
        read = value
    return read if isinstance(read, dict) else {"": value}


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[Change, ...]:
    old, new = dict(flat(before)), dict(flat(after))
    keys = [*old, *(key for key in new if key not in old)]
    return tuple(
        Change(key=key, before=old.get(key), after=new.get(key)) for key in keys if old.get(key) != new.get(key)
    )


def _is_digest(value: Any) -> bool:
    return isinstance(value, str) and bool(_DIGEST.fullmatch(value))


def _text(change: Change) -> str:
    """For example `epochs 5 → 6`, or `new.tfrecord (new)`."""
    name = f"{change.key} " if change.key else ""
    if change.before is None or change.after is None:
        there = change.after if change.before is None else change.before
        value = "" if isinstance(there, dict | list) or _is_long(there) else f" {there}"
        return f"{change.key}{value} ({'new' if change.before is None else 'gone'})"
    return f"{name}{_short(change.before)} → {_short(change.after)}"


def _is_long(value: Any) -> bool:
    return len(str(value)) > 60


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return f"{text[:57]}…" if _is_long(text) else text


Lost = Callable[[Execution], str | None]
"""Why the result of an execution can't be used again, if so."""
