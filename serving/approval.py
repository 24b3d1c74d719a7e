"""Pushes models that waited for a person's approval."""

import shlex
from dataclasses import dataclass

from hubline.core.errors import UserError
from hubline.serving.compared import refuse_changed, refuse_moved
from hubline.serving.history import Event, History, Kind, now, record, who
from hubline.serving.model_card import Approval, ModelCard, model_digest
from hubline.serving.push import push
from hubline.serving.retention import prune
from hubline.serving.versions import newest_version, number_of
from hubline.serving.waiting import MODEL, SHOWN_DIGITS, Candidate, drop, folder_of


@dataclass(frozen=True)
class Approved:
    """What an approval did."""

    before: int | None
    """The version that served."""
    version: int
    """The version that serves now."""
    digest: str


def approve(destination: str, candidate: Candidate, reason: str, by: str = "", override: bool = False) -> Approved:
    """Pushes a waiting model as the next version; its card and the folder's history say who approved it and why.

    Args:
        destination: The serving folder.
        candidate: The model.
        reason: Why.
        by: Who approves, by their own account; by default the user and the machine.
        override: Whether the model is one that the verdict refused.

    Raises:
        UserError: if the verdict refused the model and `override` isn't set, or the other way round; or if the model
            was rolled back, or its files have changed.
        RunError: if the version that serves isn't the one that the model was compared with.
    """
    path = folder_of(destination, candidate.digest)
    card = ModelCard.read(path)
    if card is None:
        raise UserError(f"{path}: the model card is missing; run the pipeline again")
    _refuse(destination, candidate, card, override)
    serving = newest_version(destination)
    refuse_changed(candidate.compared, serving)
    approval = Approval(by=by or who(), at=now(), reason=reason, override=override)
    approved = card.model_copy(update={"approval": approval})
    pushed = push(
        f"{path}/{MODEL}",
        destination,
        check=lambda: refuse_moved(candidate.compared, newest_version(destination)),
        beside=approved.files,
    )
    version = number_of(pushed)
    record_push(destination, version, approved)
    drop(destination, candidate.digest)
    if candidate.keep:
        prune(destination, candidate.keep)
    return Approved(number_of(serving) if serving else None, version, candidate.digest)


def record_push(destination: str, version: int, card: ModelCard) -> None:
    """Records the push of a version in the folder's history, and who approved it, as its card says."""
    approval = card.approval
    kind: Kind = "pushed" if approval is None else "overridden" if approval.override else "approved"
    by, reason = (approval.by, approval.reason) if approval else ("", "")
    record(destination, kind, version, card.digest, reason, metrics=card.decision.defined_metrics, by=by)


def _refuse(destination: str, candidate: Candidate, card: ModelCard, override: bool) -> None:
    """Raises a UserError if the model must not be pushed, whatever serves."""
    if not candidate.blessed and not override:
        refused = f"{candidate.name}: the verdict refused this model; --override pushes it anyway"
        raise UserError("\n".join([refused, *card.failures]))
    if candidate.blessed and override:
        raise UserError(f"{candidate.name}: the model is blessed; leave out --override")
    if withdrawn := History.read(destination).withdrawal(candidate.digest):
        raise UserError(f"{candidate.name}: {why_withdrawn(withdrawn)}")
    path = f"{folder_of(destination, candidate.digest)}/{MODEL}"
    if model_digest(path) != candidate.digest:
        raise UserError(f"{path}: the files have changed since the model was evaluated; run the pipeline again")


def why_withdrawn(event: Event) -> str:
    """Why a model that was rolled back is not pushed."""
    return (
        f"the model was not pushed: the same one was rolled back as version {event.version} on {event.at[:10]} by "
        f"{event.by}: {event.reason}; `hubline models promote` has it serve again"
    )


def command(destination: str, digest: str, override: bool) -> str:
    """The command that approves a model, with a place for the reason."""
    name = shlex.join(["hubline", "models", "approve", destination, digest[:SHOWN_DIGITS]])
    return f'{name}{" --override" if override else ""} --reason "…"'
