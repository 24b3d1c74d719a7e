"""Flink's REST API: what a job does, what it waits for, and its page."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

_SECONDS = 5.0


@dataclass(frozen=True)
class FlinkJob:
    """A job's state."""

    id: str
    state: str
    """RUNNING, FINISHED, FAILED, …"""
    stages: Sequence[str]
    """States of the stages."""

    @property
    def text(self) -> str:
        """The state for people."""
        done = sum(state == "FINISHED" for state in self.stages)
        at_work = sum(state in ("RUNNING", "DEPLOYING", "INITIALIZING") for state in self.stages)
        return f"{self.state.lower()}; {done} of {len(self.stages)} stages done, {at_work} at work"

    @property
    def has_started(self) -> bool:
        """Whether any of its tasks has had a slot."""
        return any(state not in ("CREATED", "SCHEDULED") for state in self.stages)

    @property
    def has_ended(self) -> bool:
        return self.state in ("FINISHED", "FAILED", "CANCELED")


@dataclass(frozen=True)
class Slots:
    """Slots for tasks, each of which runs one of the parallel tasks of a stage."""

    free: int
    all: int
    managers: int
    """Number of TaskManagers."""

    @property
    def text(self) -> str:
        return f"{self.free} of {self.all} slots free, {self.managers} TaskManagers"


class Flink:
    """A Flink cluster. Answers are None where it doesn't answer: whoever asks only wants to tell more."""

    def __init__(self, master: str) -> None:
        """A cluster by the address of its REST API: `host:port`, or a URL."""
        self.url = (master if "://" in master else f"http://{master}").rstrip("/")

    def page(self, job: FlinkJob) -> str:
        """URL of the job's page."""
        return f"{self.url}/#/job/running/{job.id}"

    def job(self, name: str) -> FlinkJob | None:
        """A job by its name; None if there is none."""
        overview = self._get("jobs/overview") or {}
        for one in overview.get("jobs", []):
            if one.get("name") == name:
                detail = self._get(f"jobs/{one['jid']}") or {}
                stages = tuple(str(vertex.get("status")) for vertex in detail.get("vertices", []))
                return FlinkJob(str(one["jid"]), str(one.get("state")), stages)
        return None

    def slots(self) -> Slots | None:
        """The cluster's slots."""
        found = self._get("overview")
        if found is None:
            return None
        return Slots(*(int(found.get(key, 0)) for key in ("slots-available", "slots-total", "taskmanagers")))

    def failure(self, job: FlinkJob) -> str:
        """The exception that ended a job, with its causes; empty if there is none."""
        return str((self._get(f"jobs/{job.id}/exceptions") or {}).get("root-exception") or "")

    def cancel(self, job: FlinkJob) -> None:
        """Asks the cluster to cancel a job."""
        import httpx  # Imported here, because few runs have an engine, and its command line loads much.

        with suppress(httpx.HTTPError):
            httpx.patch(f"{self.url}/jobs/{job.id}", params={"mode": "cancel"}, timeout=_SECONDS)

    def _get(self, path: str) -> Any:
        import httpx

        try:
            answer = httpx.get(f"{self.url}/{path}", timeout=_SECONDS, follow_redirects=True)
            return answer.json() if answer.is_success else None
        except (httpx.HTTPError, httpx.InvalidURL, ValueError):
            return None
