"""What happened to the versions of a serving folder.

Each event is a file of its own, which is never changed. Its name begins with the number of the event and ends with a
random part, so that several processes can write at once and nothing is lost, not even in stores that replace files.
Model servers ignore the folder, because its name is not an integer.
"""

import getpass
import re
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Literal
from uuid import uuid4

from pydantic import ValidationError

from hubline.core import storage
from hubline.core.config_base import Section
from hubline.core.errors import UserError

FOLDER = ".hubline/history"

Kind = Literal["pushed", "approved", "overridden", "rolled_back", "promoted", "pinned", "unpinned", "removed"]
"""`approved` and `overridden` are pushes of models that waited for approval, `overridden` against the verdict."""

_MADE = ("pushed", "approved", "overridden", "promoted")
_NAME = re.compile(r"[0-9]{1,18}(-[0-9a-f]+)?\.json")


class Event(Section):
    """Something that happened to a version."""

    kind: Kind
    version: int
    digest: str
    """SHA-256 of the version's files."""
    at: str
    """Time in UTC, ISO 8601."""
    by: str
    """User and machine, or who approved by their own account: a claim that nothing proves."""
    reason: str = ""
    source: int | None = None
    """The version that a promotion copied."""
    metrics: dict[str, float] = {}
    """Test metrics at the push."""


@dataclass(frozen=True)
class History:
    """The events of a serving folder, oldest first."""

    events: tuple[Event, ...]

    @classmethod
    def read(cls, destination: str) -> "History":
        """Reads the events.

        Raises:
            UserError: if one can't be read.
        """
        folder = _folder(destination)
        return cls(tuple(_read(f"{folder}/{name}") for name in _numbered(storage.names(folder))))

    def of(self, version: int) -> list[Event]:
        """The events of a version."""
        return [event for event in self.events if event.version == version]

    def made(self, version: int) -> Event | None:
        """What made a version: the last such event, because a number comes again if all are removed."""
        return next((event for event in reversed(self.of(version)) if event.kind in _MADE), None)

    def withdrawal(self, digest: str) -> Event | None:
        """The rollback of a model with these files, unless the model was promoted since."""
        found = None
        for event in self.events:
            if event.digest == digest and event.kind in ("rolled_back", "promoted"):
                found = event if event.kind == "rolled_back" else None
        return found

    @property
    def pinned(self) -> frozenset[int]:
        """The versions that stay when old ones are removed. A new version of the same number is not pinned."""
        last = {event.version: event.kind for event in self.events if event.kind in ("pinned", "unpinned", *_MADE)}
        return frozenset(version for version, kind in last.items() if kind == "pinned")


def record(
    destination: str,
    kind: Kind,
    version: int,
    digest: str,
    reason: str = "",
    source: int | None = None,
    metrics: dict[str, float] | None = None,
    by: str = "",
) -> Event:
    """Writes an event with the next number; `by` is the user and the machine by default.

    Raises:
        OSError: if the folder can't be written.
    """
    event = Event(
        kind=kind,
        version=version,
        digest=digest,
        at=now(),
        by=by or who(),
        reason=reason,
        source=source,
        metrics=metrics or {},
    )
    folder = _folder(destination)
    names = _numbered(storage.names(folder))
    number = _number(names[-1]) + 1 if names else 0
    storage.write_bytes(f"{folder}/{number:08d}-{uuid4().hex}.json", event.to_property().encode())
    return event


def now() -> str:
    """The time in UTC, ISO 8601."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def who() -> str:
    """The user and the machine, as far as the environment tells."""
    return f"{_user()}@{socket.gethostname()}"


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as in containers
        return "unknown"


def _folder(destination: str) -> str:
    return f"{destination.rstrip('/')}/{FOLDER}"


def _numbered(names: Iterable[str]) -> list[str]:
    return sorted((name for name in names if _NAME.fullmatch(name)), key=lambda name: (_number(name), name))


def _number(name: str) -> int:
    return int(name.removesuffix(".json").partition("-")[0])


def _read(path: str) -> Event:
    try:
        return Event.model_validate_json(storage.read_bytes(path))
    except ValidationError as error:
        raise UserError(
            f"{path}: no event of a serving folder that this Hubline knows; a newer one may have written it. Remove "
            f"the file only if it is damaged: {error}"
        ) from error
