"""Checks at the start of a run whether the cluster can run the workers of its steps, long before these steps."""

from collections.abc import Iterator

from hubline.core.errors import RunError
from hubline.pipeline.kubeflow.workers.jobs import Jobs, connect
from hubline.pipeline.kubeflow.workers.manifests import Kind
from hubline.pipeline.kubeflow.workers_config import KindName

_ROLE = "docs/kubeflow.md has the Role for the runs' service account"


def check(kind: KindName, key: str) -> None:
    """Checks that the cluster knows the kind of job, and that the service account may use it.

    Args:
        kind: Kind of the job.
        key: Key of the pipeline file with the number of workers.

    Raises:
        RunError: if a run would fail in a step with workers.
    """
    with connect(kind, key) as jobs:
        if not jobs.is_known():
            raise RunError(f"{key}: {jobs.kind.missing}")
        if denied := [f"{verb} {what}" for verb, what in _denied(jobs)]:
            raise RunError(f"{key}: the service account of this run is not allowed to: {', '.join(denied)}; {_ROLE}")


def _denied(jobs: Jobs) -> Iterator[tuple[str, str]]:
    for group, resource, subresource, verbs in needed(jobs.kind):
        for verb in verbs:
            if not jobs.may(verb, group, resource, subresource):
                yield verb, f"{resource}/{subresource}" if subresource else resource


def needed(kind: Kind) -> list[tuple[str, str, str, list[str]]]:
    """Group, resource, subresource and verbs of each permission that the step needs."""
    rules = [
        (kind.group, kind.plural, "", ["get", "list", "create", "delete"]),
        ("", "pods", "", ["get", "list"]),
        ("", "pods", "log", ["get"]),
        ("", "events", "", ["list"]),
    ]
    return rules + ([("", "services", "", ["create", "delete"])] if kind.has_service else [])
