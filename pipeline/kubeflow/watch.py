"""Follows a run on Kubeflow Pipelines: the state of each step, and the end of the log of failed ones."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from hubline.core.errors import RunError
from hubline.pipeline.kubeflow.api import Client, answered
from hubline.pipeline.kubeflow.pod_logs import last_lines, workflow_nodes

Json = Mapping[str, Any]

DONE = "done"
"""State of a successful step."""
_ENDED = ("SUCCEEDED", "SKIPPED", "FAILED", "CANCELED")
_STATES = {"PENDING": "starting", "RUNNING": "running", "SUCCEEDED": DONE, "SKIPPED": "skipped", "FAILED": "failed",
           "CANCELING": "canceling", "CANCELED": "canceled", "PAUSED": "paused"}  # fmt: skip
_MARKS = {
    DONE: Text("✓", "green"),
    "failed": Text("✗", "red"),
    "running": Text("●", "cyan"),
    "starting": Text("○", "cyan"),
}
WAITING = "waiting"
_OUTAGES = 20
"""Consecutive failed polls before giving up, each with all retries: about five minutes."""


@dataclass(frozen=True)
class Outcome:
    """Outcome of a run."""

    state: str
    """As in the API: SUCCEEDED, FAILED, CANCELED or SKIPPED."""
    steps: Mapping[str, str]
    """State of each step."""
    error: str = ""
    """The API's error message for the run."""
    failed: Mapping[str, "StepFailure"] = field(default_factory=dict)
    """The failure of each failed step, by name."""


@dataclass(frozen=True)
class StepFailure:
    """Why a step failed."""

    error: str
    """The API's error message."""
    lines: tuple[str, ...]
    """Last lines of its log, if available."""


def steps_of(spec: Json) -> dict[str, str]:
    """Steps of a pipeline spec by task name, in order, including nested graphs."""
    return {task: step for task, step, _ in _tasks_of(spec, spec["root"])}


def outputs_of(spec: Json) -> Iterator[tuple[str, Json]]:
    """Steps of a pipeline spec, with their output definitions."""
    for _, step, component in _tasks_of(spec, spec["root"]):
        yield step, component.get("outputDefinitions", {})


def _tasks_of(spec: Json, holder: Json) -> Iterator[tuple[str, str, Json]]:
    """Name of each task, its step and its component, including nested graphs."""
    for task, task_spec in holder["dag"]["tasks"].items():
        component = spec["components"][task_spec["componentRef"]["name"]]
        if "dag" in component:
            yield from _tasks_of(spec, component)
        else:
            yield task, task_spec.get("taskInfo", {}).get("name", task), component


def states(run: Any, steps: Mapping[str, str]) -> dict[str, str]:
    """State of each step: waiting, starting, running, done, skipped, failed, canceled.

    A step's task appears only after its driver has finished, which is a separate task with the suffix `-driver`.
    """
    reported = {task.display_name: task.state for task in _tasks(run)}
    found = {}
    for task, step in steps.items():
        state = _STATES.get(reported.get(task) or "", WAITING)
        driver = _STATES.get(reported.get(f"{task}-driver") or "", WAITING)
        if state == WAITING and driver != WAITING:
            state = "starting" if driver == DONE or driver == "running" else driver
        found[step] = state
    return found


def _tasks(run: Any) -> list[Any]:
    return (run.run_details.task_details if run.run_details else None) or []


def wait(client: Client, run_id: str, steps: Mapping[str, str], shown: "Display", pause: float = 5.0) -> Outcome:
    """Waits for the end of a run.

    Args:
        client: The API.
        run_id: ID of the run.
        steps: Steps by task name.
        shown: Receives the states after each poll.
        pause: Seconds between polls.

    Raises:
        RunError: if the API does not answer for minutes; the run may continue.
    """
    outages = 0
    while True:
        try:
            with answered(client.address, f"asking for run {run_id}, which goes on"):
                run = client.get_run(run_id)
        except RunError as error:
            outages += 1
            if outages == _OUTAGES:
                raise
            shown.note(str(error))
        else:
            outages = 0
            now = states(run, steps)
            shown.show(now)
            if run.state in _ENDED:
                return Outcome(run.state, now, _error(run), _failed(client, run, steps))
        time.sleep(pause)


def _error(run: Any) -> str:
    """Error message of a run or task, or else that of its latest state with one."""
    errors = [run.error, *(state.error for state in reversed(run.state_history or []))]
    return next((error.message for error in errors if error and error.message), "")


def _failed(client: Client, run: Any, steps: Mapping[str, str]) -> dict[str, StepFailure]:
    names = dict(steps) | {f"{task}-driver": step for task, step in steps.items()}
    failed = [task for task in _tasks(run) if task.state == "FAILED" and task.display_name in names]
    nodes = workflow_nodes(client, run.run_id) if failed else {}
    return {
        names[task.display_name]: StepFailure(_error(task), last_lines(client, run.run_id, task, nodes))
        for task in failed
    }


class Display:
    """A live table of steps in a terminal; otherwise one line per change."""

    def __init__(self, console: Console, steps: Mapping[str, str]) -> None:
        self._console = console
        self._now = dict.fromkeys(steps.values(), WAITING)
        self._note = ""
        self._live = Live(
            get_renderable=self._table, console=console, refresh_per_second=4, redirect_stdout=False,
            redirect_stderr=False,
        )  # fmt: skip

    def __enter__(self) -> "Display":
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def show(self, now: Mapping[str, str]) -> None:
        """Updates the states of the steps."""
        changed = {step: state for step, state in now.items() if self._now.get(step) != state}
        self._now, self._note = dict(now), ""
        if not self._console.is_terminal:
            for step, state in changed.items():
                self._console.print(f"{step} {state}")

    def note(self, text: str) -> None:
        """Shows a temporary problem."""
        if not self._console.is_terminal and text != self._note:
            self._console.print(text, soft_wrap=True)
        self._note = text

    def _table(self) -> Table:
        table = Table(box=None, show_header=False, pad_edge=False)
        for step, state in self._now.items():
            table.add_row(_MARKS.get(state, Text(" ")), step, Text(state, "dim"))
        if self._note:
            table.add_row(Text("!", "yellow"), "", self._note)
        return table
