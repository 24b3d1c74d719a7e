"""Models that wait until a person approves them.

A model waits in `.hubline/waiting/DIGEST` of the serving folder, which model servers ignore, because its name is not an
integer. `candidate.json` is written last: a folder without it is not a waiting model.
"""

import time
from collections.abc import Iterator
from contextlib import nullcontext
from datetime import datetime, timezone

from pydantic import ValidationError

from hubline.artifacts.pins import ServedVersion
from hubline.core import storage
from hubline.core.config_base import Section, is_remote, normalized
from hubline.core.errors import UserError
from hubline.serving.compared import is_same_version
from hubline.serving.history import who
from hubline.serving.lease import leased
from hubline.serving.model_card import ModelCard
from hubline.serving.push import copy_once, writing
from hubline.serving.versions import newest_version

FOLDER = ".hubline/waiting"
SHOWN_DIGITS = 12
"""Digits of a digest by which people name a waiting model."""
MODEL = "model"
"""The SavedModel in the folder of a waiting model, beside its card."""
_CANDIDATE = "candidate.json"
_ABANDONED_SECONDS = 24 * 3600
"""Age after which a folder without `candidate.json` is no copy that is still being made."""


class Candidate(Section):
    """A model that waits."""

    digest: str
    """SHA-256 of its files."""
    compared: ServedVersion | None
    """The version that served when the model was evaluated; None if none did."""
    blessed: bool
    at: str
    """Time in UTC since which it waits, ISO 8601."""
    by: str
    """User and machine of the run."""
    keep: int | None = None
    """`serving.keep`, which applies when the model is pushed."""

    @property
    def name(self) -> str:
        return self.digest[:SHOWN_DIGITS]


def wait(model: str, destination: str, card: ModelCard, compared: ServedVersion | None, keep: int | None = None) -> str:
    """Copies a model to where it waits for approval; returns the path of that folder.

    A model that waits already is compared anew.

    Args:
        model: The SavedModel's folder.
        destination: The serving folder.
        card: The model's card.
        compared: The version that it was compared with.
        keep: `serving.keep`, which applies when the model is pushed.

    Raises:
        UserError: if the folder can't be written.
    """
    path = folder_of(destination, card.digest)
    candidate = Candidate(
        digest=card.digest,
        compared=compared,
        blessed=card.blessed,
        at=datetime.now(timezone.utc).isoformat(timespec="microseconds"),
        by=who(),
        keep=keep,
    )
    with writing(destination, "serving folder"), leased(destination) if is_remote(destination) else nullcontext():
        copy_once(model, f"{path}/{MODEL}")
        for name, content in card.files.items():
            storage.write_bytes(f"{path}/{name}", content)
        storage.write_text(f"{path}/{_CANDIDATE}", candidate.to_property())
    return path


def waiting(destination: str) -> list[Candidate]:
    """The models that wait, those that wait longest first.

    Raises:
        UserError: if a `candidate.json` is damaged.
    """
    return sorted(_candidates(destination), key=lambda candidate: (candidate.at, candidate.digest))


def find(destination: str, name: str | None) -> Candidate:
    """The waiting model whose digest begins with `name`, or the only one that waits.

    Raises:
        UserError: if there is none, or several.
    """
    there = waiting(destination)
    found = [candidate for candidate in there if candidate.digest.startswith((name or "").lower())]
    if len(found) == 1:
        return found[0]
    names = ", ".join(candidate.name for candidate in (found or there))
    if found:
        raise UserError(f"{destination}: several models wait; name one of {names}")
    raise UserError(f"{destination}: " + (f"no model {name} waits, only {names}" if there else "no model waits"))


def to_drop(destination: str, keep: int) -> list[str]:
    """Digests of the waiting models that `prune` removes: those that are outdated, and all but the newest `keep`."""
    there, serving = waiting(destination), newest_version(destination)
    usable = [candidate.digest for candidate in there if is_same_version(candidate.compared, serving)]
    return [candidate.digest for candidate in there if candidate.digest not in usable[-keep:]]


def drop(destination: str, digest: str) -> None:
    """Removes a waiting model."""
    path = folder_of(destination, digest)
    storage.remove(f"{path}/{_CANDIDATE}")
    storage.remove_tree(path)


def drop_abandoned(destination: str) -> None:
    """Removes what killed runs left behind before their models waited."""
    for digest in storage.names(_folder(destination)):
        path = folder_of(destination, digest)
        if storage.exists(f"{path}/{_CANDIDATE}"):
            continue
        newest = max((stat.modified / 1e9 for stat in storage.stats_below(path).values()), default=time.time())
        if time.time() - newest > _ABANDONED_SECONDS:
            storage.remove_tree(path)


def folder_of(destination: str, digest: str) -> str:
    """Where a model waits: the folder of `model`, its card and `candidate.json`."""
    return f"{_folder(destination)}/{digest}"


def _candidates(destination: str) -> Iterator[Candidate]:
    for digest in storage.names(_folder(destination)):
        path = f"{folder_of(destination, digest)}/{_CANDIDATE}"
        if not storage.exists(path):
            continue
        try:
            candidate = Candidate.model_validate_json(storage.read_bytes(path))
        except ValidationError as error:
            raise UserError(f"{path}: no waiting model that this Hubline knows; remove its folder: {error}") from error
        if candidate.digest == digest:
            yield candidate


def _folder(destination: str) -> str:
    return f"{normalized(destination) if is_remote(destination) else destination.rstrip('/')}/{FOLDER}"
