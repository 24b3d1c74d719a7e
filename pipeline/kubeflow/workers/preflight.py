"""Checks at the start of a run whether the cluster can train with several workers, long before the training."""

from collections.abc import Iterator

from hubline.core.errors import RunError
from hubline.pipeline.kubeflow.workers.jobs import Jobs, connect
from hubline.pipeline.kubeflow.workers.manifests import Kind

_ROLE = "docs/kubeflow.md has the Role for the runs' service account"


def check(kind: str) -> None:
    """Checks that the cluster knows the kind of job, and that the service account may use it.

    Args:
        kind: `kubeflow.training.kind`.

    Raises:
        RunError: if a run would fail in its Trainer.
    """
    with connect(kind) as jobs:
        if not jobs.is_known():
            raise RunError(f"kubeflow.training: {jobs.kind.missing}")
        if denied := [f"{verb} {what}" for verb, what in _denied(jobs)]:
            raise RunError(
                f"training.workers: the service account of this run is not allowed to: {', '.join(denied)}; {_ROLE}"
            )


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
    return rules + ([("", "services", "", ["create", "delete"])] if kind.name == "Job" else [])
