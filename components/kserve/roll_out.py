"""Rolls out a model to an InferenceService, and rolls back on failure.

The state to restore on failure is saved to a file before any change. A restarted step therefore continues an
interrupted roll-out, and leaves alone a model that was ready once, which someone may have rolled back on purpose.

A ready service is not enough: for a while, the condition refers to the previous model. `observedGeneration` doesn't
help either; it belongs to the underlying Knative service or deployment. Hence Knative's newest revision must differ
from the previous one, and a deployment must have the model in its template and all of its pods updated.
"""

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from kubernetes.client import V1Deployment

from hubline.components.cluster import Conflict, Unreachable
from hubline.components.kserve.inference_service import InferenceService, InferenceServices, OwnedFields
from hubline.core import interruption, storage
from hubline.core.config_base import Section
from hubline.core.errors import RunError
from hubline.core.progress import report
from hubline.serving.push import writing

_LOGGER = logging.getLogger(__name__)
PAUSE_SECONDS = 2.0
"""Interval between polls, and before a retry."""
_TRIES = 10

Result = TypeVar("Result")


class NotReady(Exception):
    """The model isn't served in time; contains the reason."""


class RollOut(Section):
    """State of the last roll-out, saved to a file."""

    storage_uri: str
    """URI of the model."""
    before: OwnedFields | None = None
    """The state to restore; None if there was no service."""
    revision: str = ""
    """Knative's newest revision before the change; empty if no new revision is expected."""
    ready: bool = False
    """Whether the roll-out succeeded."""


def roll_out(services: InferenceServices, wanted: OwnedFields, state: str, timeout_seconds: float) -> InferenceService:
    """Makes the service serve a model, and waits until it does.

    Args:
        services: The service.
        wanted: The model, and its percentage of the requests.
        state: Path of the state file.
        timeout_seconds: Time limit.

    Returns:
        The service; unchanged if someone has changed it since the model was ready.

    Raises:
        RunError: if the model does not become ready; the service is rolled back.
    """
    service, last = services.get(), _read(state)
    if service and last and last.ready and last.storage_uri == wanted.storage_uri and _is_left(service, wanted):
        return service
    current = _persistently(lambda: _begin(services, wanted, state))
    deadline = time.monotonic() + timeout_seconds
    try:
        service = wait(services, current, deadline)
        if service.ours.percent < wanted.percent:
            _persistently(lambda: _give_share(services, wanted))
            service = wait(services, current, deadline)
    except NotReady as error:
        raise RunError(
            f"{services.name}: {wanted.storage_uri} is not ready after {timeout_seconds:g} seconds: {error}\n"
            + _back_again(services, current)
        ) from None
    write_state(state, current.model_copy(update={"ready": True}))
    return service


def _is_left(service: InferenceService, wanted: OwnedFields) -> bool:
    """Whether to leave alone a service whose model was ready before: if it was rolled back to another model, gets no
    more requests, or would only lose some."""
    has = service.ours
    if has.storage_uri != wanted.storage_uri:
        _LOGGER.info("%s: it was ready, and since then %s was put in its place", wanted.storage_uri, has.storage_uri)
        return True
    return has.percent == 0 or has.percent >= wanted.percent


def _begin(services: InferenceServices, wanted: OwnedFields, state: str) -> RollOut:
    """Creates or changes the service, unless it has the model already."""
    service, last = services.get(), _read(state)
    interruption.check()
    if service is None:
        current = RollOut(storage_uri=wanted.storage_uri)
        write_state(state, current)
        services.create(wanted)
        return current
    _check(services, service)
    has = service.ours
    if has.storage_uri == wanted.storage_uri:
        if last and not last.ready and last.storage_uri == wanted.storage_uri:
            return last  # a step that was killed
        current = RollOut(storage_uri=wanted.storage_uri, before=has)
        write_state(state, current)
        return current
    was_unready = last and not last.ready and last.storage_uri == has.storage_uri
    before = last.before if last and was_unready else has  # the last one that was ready
    current = RollOut(storage_uri=wanted.storage_uri, before=before, revision=service.created_revision)
    write_state(state, current)
    # Until the new revision is ready, the previous one gets its percentage. If the previous one is a canary, raising
    # its percentage would be wrong; at 100 %, KServe would promote the canary and forget the last good revision.
    services.change(service, _with_account(wanted.at(min(wanted.percent, has.percent)), has))
    return current


def _give_share(services: InferenceServices, wanted: OwnedFields) -> None:
    service = services.get()
    interruption.check()
    if service and service.ours.storage_uri == wanted.storage_uri:
        services.change(service, _with_account(wanted, service.ours))


def _with_account(ours: OwnedFields, has: OwnedFields) -> OwnedFields:
    return ours.model_copy(update={"service_account": ours.service_account or has.service_account})


def _check(services: InferenceServices, service: InferenceService) -> None:
    """Raises a RunError if the service can't be changed."""
    mode = services.config.mode
    if service.mode not in (None, mode):
        raise RunError(
            f"{services.name}: KServe deploys it in the mode {service.mode}, but serving.kserve.mode is {mode}. KServe "
            f"can't switch a service between modes: set mode: {service.mode}, or another name"
        )
    if service.model_format != "tensorflow":
        raise RunError(
            f"{services.name}: it serves models of the format {service.model_format or '(custom)'}, not "
            "tensorflow; set another serving.kserve.name"
        )


def wait(services: InferenceServices, current: RollOut, deadline: float) -> InferenceService:
    """Waits until the service serves the model with the percentage in its spec.

    Raises:
        NotReady: at the deadline.
        RunError: if someone else changes or deletes the service.
    """
    begin, told = time.monotonic(), None
    while True:
        try:
            service = services.get()
            if service is None or service.ours.storage_uri != current.storage_uri:
                what = f"changed to {service.ours.storage_uri}" if service else "deleted"
                raise RunError(
                    f"{services.name}: the service was {what} by someone else during the rollout; left unchanged"
                )
            missing = [*_missing(services, service, current), *service.complaints]
            if not missing:
                return service
        except Unreachable as error:
            missing = [str(error)]
        if missing != told:
            _LOGGER.info("%s: %s", services.name, "; ".join(missing))
            told = missing
        now = time.monotonic()
        if now >= deadline:
            raise NotReady("; ".join(missing))
        report(round(now - begin), round(deadline - begin), "seconds")
        time.sleep(min(PAUSE_SECONDS, deadline - now))


def _missing(services: InferenceServices, service: InferenceService, current: RollOut) -> list[str]:
    """What the service lacks before it can be ready with the model."""
    if services.config.mode == "raw":
        having = [each for each in services.deployments() if _has_model(each, current.storage_uri)]
        if not having:
            return ["there is no deployment of it yet"]
        return [] if all(map(_is_rolled_out, having)) else ["not all of its pods are up to date and available"]
    newest = service.created_revision
    if newest in ("", current.revision):
        return ["there is no revision of it yet"]
    if newest != service.ready_revision:
        return [f"the revision {newest} is not ready"]
    if service.traffic not in (None, service.ours.percent):
        return [f"the revision {newest} gets {service.traffic} % of the requests, not {service.ours.percent} %"]
    return []


def _has_model(deployment: V1Deployment, storage_uri: str) -> bool:
    template = deployment.spec.template
    containers = template.spec.init_containers or []
    return storage_uri in [
        *(template.metadata.annotations or {}).values(),
        *(a for c in containers for a in c.args or []),
    ]


def _is_rolled_out(deployment: V1Deployment) -> bool:
    """As `kubectl rollout status` decides it: a remaining old pod would make the service ready, too."""
    status = deployment.status
    updated = status.updated_replicas or 0
    return (
        (status.observed_generation or 0) >= deployment.metadata.generation
        and updated >= (1 if deployment.spec.replicas is None else deployment.spec.replicas)
        and (status.replicas or 0) <= updated <= (status.available_replicas or 0)
    )


def _back_again(services: InferenceServices, current: RollOut) -> str:
    """Rolls back; returns a sentence about the result."""
    try:
        return _persistently(lambda: put_back(services, current))
    except RunError as error:
        return f"It stays so, for what was before cannot be put back: {error}"


def put_back(services: InferenceServices, current: RollOut) -> str:
    service = services.get()
    if service is None or service.ours.storage_uri != current.storage_uri:
        return "Somebody else has changed it meanwhile, and it stays so."
    if current.before is None:
        services.delete(service)
        return "The service was new, and is deleted again."
    if current.before == service.ours:
        return "The service was like that before, and stays so."
    services.change(service, current.before)
    share = "" if current.before.percent == 100 else f", with {current.before.percent} % of the requests"
    return f"What served before is put back: {current.before.storage_uri}{share}."


def _persistently(change: Callable[[], Result]) -> Result:
    """Retries a change that starts by reading the service, on conflicts and while the cluster doesn't answer."""
    for _ in range(_TRIES - 1):
        try:
            return change()
        except (Conflict, Unreachable) as error:
            _LOGGER.info("%s; trying again", error)
            time.sleep(PAUSE_SECONDS)
    return change()


def _read(state: str) -> RollOut | None:
    if not storage.exists(state):
        return None
    with storage.open_binary(state) as file:
        return RollOut.model_validate_json(file.read())


def write_state(state: str, roll_out: RollOut) -> None:
    with writing(state, "state of the service"):
        storage.write_bytes(state, roll_out.to_property().encode())
