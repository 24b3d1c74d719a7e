"""What the pods of a job say: which workers have started, why one failed, and what the others wait for."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hubline.components.trainer.local_workers import LOST_PEER
from hubline.pipeline.kubeflow.workers.manifests import Kind
from hubline.pipeline.kubeflow.workers.pod import CONTAINER

Json = dict[str, Any]

_FIRST_SIGNAL = 128


@dataclass(frozen=True)
class Failure:
    """The end of a worker that did not succeed."""

    index: int
    why: str
    is_error: bool
    """Whether the worker itself found an error; otherwise, it was killed from outside, and may be restarted."""
    is_consequence: bool = False
    """Whether it ended because another worker did."""
    at: str = ""
    """When it ended, in ISO format."""
    reason: str = ""
    """Kubernetes' word for a container's end, such as OOMKilled."""


@dataclass(frozen=True)
class WorkerPod:
    """A worker's pod."""

    index: int
    content: Json

    @property
    def name(self) -> str:
        return self.content["metadata"]["name"]

    @property
    def uid(self) -> str:
        return self.content["metadata"]["uid"]

    @property
    def status(self) -> Json:
        return self.content.get("status", {})

    @property
    def phase(self) -> str:
        return self.status.get("phase", "Pending")

    @property
    def has_started(self) -> bool:
        """Whether its container runs, or has run."""
        return self.phase in ("Running", "Succeeded", "Failed")

    @property
    def is_deleted(self) -> bool:
        """Whether someone asked Kubernetes to end it."""
        return bool(self.content["metadata"].get("deletionTimestamp"))

    @property
    def is_running(self) -> bool:
        """Whether its container runs, and is not about to be ended."""
        return self.phase == "Running" and not self.is_deleted

    @property
    def has_ended(self) -> bool:
        """Whether its container has ended."""
        return self.phase in ("Succeeded", "Failed")

    @property
    def waits_for(self) -> list[str]:
        """Why it has not started, in Kubernetes' words; empty if Kubernetes does not say."""
        said = [
            f"{each.get('reason')}: {each.get('message', '')}"
            for each in self.status.get("conditions", [])
            if each["type"] == "PodScheduled" and each["status"] == "False"
        ]
        waiting = [each["state"]["waiting"] for each in self._containers if "waiting" in each.get("state", {})]
        return said + [
            ": ".join(filter(None, (each.get("reason"), each.get("message"))))
            for each in waiting
            if each.get("reason") not in ("ContainerCreating", "PodInitializing")
        ]

    @property
    def _containers(self) -> list[Json]:
        return self.status.get("containerStatuses", [])

    def failure(self) -> Failure | None:
        """Why it failed; None if it has not failed, or was deleted on purpose."""
        if self.phase != "Failed" or self.is_deleted:
            return None
        container = next((each for each in self._containers if each["name"] == CONTAINER), {})
        ended = container.get("state", {}).get("terminated", {})
        code, at = ended.get("exitCode"), ended.get("finishedAt") or ""
        if code == LOST_PEER:
            return Failure(self.index, "lost its connection to another worker", False, is_consequence=True, at=at)
        disrupted = [
            f"{each.get('reason')}: {each.get('message', '')}"
            for each in self.status.get("conditions", [])
            if each["type"] == "DisruptionTarget" and each["status"] == "True"
        ]
        evicted = ": ".join(filter(None, (self.status.get("reason"), self.status.get("message"))))
        if outside := (disrupted or ([evicted] if evicted else [])):
            return Failure(self.index, outside[0], is_error=False, at=at)
        if code is None:
            return Failure(self.index, "its pod failed without a reason", is_error=False, at=at)
        reason, message = ended.get("reason", "Error"), ended.get("message", "").strip()
        if code > _FIRST_SIGNAL:
            return Failure(self.index, f"killed ({reason}, exit code {code})", is_error=False, at=at, reason=reason)
        last = f": {message.splitlines()[-1]}" if message else ""
        return Failure(self.index, f"failed with exit code {code}{last}", is_error=True, at=at)


def worker_pods(kind: Kind, pods: Sequence[Json]) -> list[WorkerPod]:
    """The pods of workers, oldest first."""
    found: list[WorkerPod] = []
    for pod in pods:
        metadata = pod["metadata"]
        index = {**metadata.get("annotations", {}), **metadata.get("labels", {})}.get(kind.index_label)
        if index is not None:
            found.append(WorkerPod(int(index), pod))
    # Times have whole seconds: of a pod and its replacement, the one that has not ended is the newer.
    return sorted(found, key=lambda each: (each.content["metadata"].get("creationTimestamp") or "", not each.has_ended))


def newest(pods: Sequence[WorkerPod]) -> dict[int, WorkerPod]:
    """The newest pod of each worker, by index."""
    return {pod.index: pod for pod in pods}


def cause(pods: Mapping[int, WorkerPod]) -> Failure | None:
    """The first failure, and only then its consequences; None if no worker failed.

    Times have whole seconds. A worker that was killed takes precedence over errors of the same second.
    """
    failures = [failure for pod in pods.values() if (failure := pod.failure())]
    return min(failures, key=lambda each: (each.is_consequence, each.at, each.is_error, each.index), default=None)


def condition(job: Json, *types: str) -> str | None:
    """The message of a condition of a job that is true; None if none of them is."""
    for each in job.get("status", {}).get("conditions", []):
        if each["type"] in types and each["status"] == "True":
            return each.get("message") or each.get("reason") or each["type"]
    return None


def pending(
    job: Json, pods: Mapping[int, WorkerPod], count: int, warnings: Callable[[Json], list[str]]
) -> Iterator[str]:
    """Why workers have not started, one line for each of them.

    Args:
        job: The job.
        pods: Its pods.
        count: Number of workers.
        warnings: Looks up the warnings about an object.
    """
    if (message := condition(job, "Suspended")) is not None:
        yield f"the job is suspended: {message}"
        return
    for index in range(count):
        pod = pods.get(index)
        if pod is None:
            why = warnings(job)[-1:] or ["it has no pod yet"]
        elif pod.has_started:
            continue
        else:
            why = pod.waits_for or warnings(pod.content)[-1:] or ["its container is being created"]
        yield f"worker {index}: {'; '.join(why)}"
