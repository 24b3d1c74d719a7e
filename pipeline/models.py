"""What a serving folder says of its versions."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hubline.core import storage
from hubline.core.digest import file_digest
from hubline.core.errors import UserError
from hubline.core.nested import flat
from hubline.serving.compared import is_same_version
from hubline.serving.history import Event, History
from hubline.serving.model_card import HTML, JSON, ModelCard, model_digest
from hubline.serving.versions import newest_version, number_of, path_of, version_number, version_numbers
from hubline.serving.waiting import MODEL, Candidate, find, folder_of, waiting
from hubline.trainer.serving_guide.interface import README


def summaries(folder: str) -> list[dict[str, Any]]:
    """Number, states, time, metrics and digest of each version, as far as the history has them.

    Raises:
        UserError: if the folder doesn't exist.
    """
    if not storage.is_folder(folder):
        raise UserError(f"{folder}: there is no such folder")
    history, numbers = History.read(folder), version_numbers(folder)
    return [_summary(history, number, serves=number == numbers[-1]) for number in numbers]


def waiting_summaries(folder: str) -> list[dict[str, Any]]:
    """The models that wait for approval: digest, states, time, metrics, and the version that each was compared with.

    Raises:
        UserError: if one can't be read.
    """
    serving = newest_version(folder)
    return [_waiting_summary(folder, candidate, serving) for candidate in waiting(folder)]


def _waiting_summary(folder: str, candidate: Candidate, serving: str | None) -> dict[str, Any]:
    card = ModelCard.read(folder_of(folder, candidate.digest))
    is_current = is_same_version(candidate.compared, serving)
    return {
        "digest": candidate.digest,
        "states": ["blessed" if candidate.blessed else "refused", *([] if is_current else ["outdated"])],
        "at": candidate.at,
        "by": candidate.by,
        "metrics": card.decision.defined_metrics if card else {},
        "compared_with": number_of(candidate.compared.path) if candidate.compared else None,
    }


@dataclass(frozen=True)
class _Named:
    """A version, or a model that waits for approval."""

    model: str
    """Path of the SavedModel."""
    card: ModelCard | None
    card_page: str
    """Path of the card as HTML."""
    metrics: Mapping[str, float]
    events: Sequence[Event] = ()


def _named(folder: str, name: str) -> _Named:
    """What a person means by the number of a version, or by the first digits of a waiting model's digest.

    Raises:
        UserError: if there is neither.
    """
    number = version_number(name)
    if number in version_numbers(folder) or not (there := waiting(folder)):
        if number is None:
            raise UserError(f"{folder}: {name!r} is no version, and no model waits for approval")
        path, history = path_of(folder, number), History.read(folder)
        metrics = _metrics(history, number)
        return _Named(path, ModelCard.read(path), f"{path}/{HTML}", metrics, history.of(number))
    if not any(candidate.digest.startswith(name.lower()) for candidate in there):
        versions = ", ".join(map(str, version_numbers(folder))) or "none"
        raise UserError(
            f"{folder}: there is no version {name}, only {versions}; nor does such a model wait, only "
            f"{', '.join(candidate.name for candidate in there)}"
        )
    path = folder_of(folder, find(folder, name).digest)
    card = ModelCard.read(path)
    return _Named(f"{path}/{MODEL}", card, f"{path}/{HTML}", card.decision.defined_metrics if card else {})


def details(folder: str, name: str) -> dict[str, Any]:
    """Path, digest, sizes of files, card, README and events of a version or a waiting model.

    Raises:
        UserError: if it doesn't exist.
    """
    named = _named(folder, name)
    path = named.model
    return {
        "path": path,
        "digest": model_digest(path),
        "files": {name: storage.stat(f"{path}/{name}").size for name in storage.files_below(path)},
        "card": named.card,
        "card_page": named.card_page if named.card else None,
        "readme": readme if storage.exists(readme := f"{path}/{README}") else None,
        "events": named.events,
    }


def differences(folder: str, names: tuple[str, str]) -> dict[str, Any]:
    """Metrics of two versions or waiting models, by name, what differs in their cards, by key, and how their files
    differ, by path.

    Raises:
        UserError: if one doesn't exist.
    """
    both = [_named(folder, name) for name in names]
    first, second = (_digests(each.model) for each in both)
    metrics, cards = [each.metrics for each in both], [_facts(each.card) for each in both]
    changes = {name: _change(first.get(name), second.get(name)) for name in sorted(first.keys() | second.keys())}
    return {
        "metrics": {name: [each.get(name) for each in metrics] for name in sorted({*metrics[0], *metrics[1]})},
        "card": {
            name: [each.get(name) for each in cards]
            for name in sorted({*cards[0], *cards[1]})
            if cards[0].get(name) != cards[1].get(name)
        },
        "files": {name: change for name, change in changes.items() if change},
    }


def _facts(card: ModelCard | None) -> dict[str, Any]:
    """The content of a card by key, without metrics and digest, which are compared apart."""
    return dict(flat(card.model_dump(mode="json", exclude={"decision", "digest"}))) if card else {}


def essentials(card: ModelCard) -> Iterator[str]:
    """Lines about a model card."""
    yield f"pipeline {card.pipeline}" + (f", owner: {card.owner}" if card.owner else "")
    if card.intended_use:
        yield f"intended use: {card.intended_use}"
    yield "examples: " + ", ".join(f"{split} {count:,}" for split, count in card.examples.items())
    for name, value in card.decision.metrics.items():
        interval = card.decision.intervals.get(name)
        between = f" ({interval[0]:.4f} to {interval[1]:.4f})" if interval else ""
        yield f"{name}: " + ("undefined" if value is None else f"{value:.4f}{between}")
    yield "blessed" if card.blessed else "not blessed"
    if card.approval:
        against = " against the verdict" if card.approval.override else ""
        yield f"approved{against} by {card.approval.by} on {card.approval.at}: {card.approval.reason}"


def _summary(history: History, number: int, serves: bool) -> dict[str, Any]:
    made = history.made(number)
    states = ["serves"] if serves else []
    withdrawn = history.withdrawal(made.digest) if made else None
    if withdrawn:
        states.append("rolled back")
    if made and made.source is not None:
        states.append(f"copy of {made.source}")
    if number in history.pinned:
        states.append("pinned")
    return {
        "version": number,
        "states": states,
        "at": made.at if made else "",
        "metrics": _metrics(history, number),
        "digest": made.digest if made else "",
    }


def _metrics(history: History, number: int) -> dict[str, float]:
    """Metrics of a version, or of the version that it is a copy of."""
    made = history.made(number)
    while made and made.source is not None:
        made = history.made(made.source)
    return made.metrics if made else {}


def told(event: Event) -> str:
    """One line about an event."""
    source = f" (a copy of {event.source})" if event.source is not None else ""
    reason = f": {event.reason}" if event.reason else ""
    return f"{event.at}  {event.kind.replace('_', ' ')}{source} by {event.by}{reason}"


def _change(first: str | None, second: str | None) -> str:
    if first == second:
        return ""
    return "changed" if first and second else "removed" if first else "added"


def _digests(path: str) -> dict[str, str]:
    return {name: file_digest(f"{path}/{name}") for name in storage.files_below(path) if name not in (JSON, HTML)}
