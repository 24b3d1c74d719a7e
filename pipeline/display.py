"""Terminal output of a run while it lasts."""

import logging
import time

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import Progress
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from hubline.core import interruption
from hubline.core.progress import LOGGER
from hubline.pipeline.result import Step

_SECONDS_BETWEEN_LINES = 60.0
"""Where the output is no terminal, between two lines about a step's progress."""


class Display(logging.Handler):
    """A live table of steps on a terminal; elsewhere a line per step and minute. Progress comes through `logging`."""

    def __init__(self, console: Console) -> None:
        super().__init__(logging.INFO)
        self._console = console
        self._steps: list[str] = ["pin"]
        self._starting = True
        self._done: dict[str, Step] = {}
        self._current: str | None = None
        self._started = 0.0
        self._progress: dict = {}
        self._pace = _Speed()
        self._told = 0.0
        # Other output belongs in the log rather than above the table.
        self._live = Live(
            get_renderable=self._render,
            console=console,
            refresh_per_second=5,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def __enter__(self) -> "Display":
        LOGGER.setLevel(logging.INFO)
        LOGGER.addHandler(self)
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *exception: object) -> None:
        LOGGER.removeHandler(self)
        if self._console.is_terminal:
            # The live table is replaced by the final state of each step.
            self._live.stop()
            self._console.print(self._table())

    def planned(self, steps: list[str]) -> None:
        self._steps += steps
        self._starting = False

    def started(self, step: str) -> None:
        self._current, self._started, self._progress, self._pace = step, time.monotonic(), {}, _Speed()
        self._told = self._started
        if not self._console.is_terminal:
            self._console.print(f"{step} …")

    def finished(self, step: Step) -> None:
        self._done[step.id] = step
        self._current = None
        if not self._console.is_terminal:
            state = "cached" if step.cached else f"done in {step.seconds:.1f} s"
            self._console.print(f"{step.id} {state}")

    def emit(self, record: logging.LogRecord) -> None:
        """Records progress that a step reports, and prints its notes."""
        progress = getattr(record, "progress", None)
        if progress is None:
            self._console.print(f"{self._current}: {record.getMessage()}", soft_wrap=True, highlight=False)
            return
        self._progress = progress
        self._pace.add(progress)
        now = time.monotonic()
        if not self._console.is_terminal and now - self._told >= _SECONDS_BETWEEN_LINES:
            self._told = now
            text = _progress_text(progress, self._pace.seconds_left)
            self._console.print(f"{self._current}: {text}", soft_wrap=True, highlight=False)

    def _render(self) -> RenderableType:
        if self._starting and self._current is None:
            return Group(self._table(), Spinner("dots", "starting TFX"))
        return self._table()

    def _table(self) -> Table:
        table = Table(box=None, pad_edge=False)
        table.add_column("step")
        table.add_column("state")
        table.add_column("time", justify="right")
        table.add_column("progress")
        for step in self._steps:
            table.add_row(step, *self._row(step))
        return table

    def _row(self, step: str) -> tuple[RenderableType, str, str]:
        if step in self._done:
            done = self._done[step]
            return Text("cached", "cyan") if done.cached else Text("done", "green"), f"{done.seconds:.1f} s", ""
        if step == self._current:
            elapsed = time.monotonic() - self._started
            return (
                Text("stopping" if interruption.received() else "running", "yellow"),
                f"{elapsed:.1f} s",
                _progress_text(self._progress, self._pace.seconds_left),
            )
        return Text("waiting", "dim"), "", ""


class _Speed:
    """Speed of a step from its first report on: imports, loading and tracing come before and report nothing."""

    _SECONDS = 600.0  # of reports that the speed is averaged over

    def __init__(self) -> None:
        self._progress = Progress(disable=True, speed_estimate_period=self._SECONDS, get_time=time.monotonic)
        self._task = self._progress.add_task("")

    def add(self, progress: dict) -> None:
        """Records a report."""
        self._progress.update(self._task, completed=progress["done"], total=progress["total"])

    @property
    def seconds_left(self) -> float | None:
        """None before the second report."""
        return self._progress.tasks[0].time_remaining


def _progress_text(progress: dict, seconds_left: float | None) -> str:
    """For example `1,260 of 7,560 examples, 8 s left, epoch 2 of 12, loss 0.41`."""
    if not progress:
        return ""
    done, total = progress["done"], progress["total"]
    parts = [f"{done:,.0f} of {total:,.0f} {progress['unit']}"]
    if done < total and seconds_left is not None:
        parts.append(f"{seconds_left:.0f} s left")
    values = dict(progress["values"])
    if "epoch" in values:
        of_all = f" of {values.pop('epochs'):.0f}" if "epochs" in values else ""
        parts.append(f"epoch {values.pop('epoch'):.0f}{of_all}")
    parts += [_value_text(name, value, progress["unit"]) for name, value in values.items()]
    return ", ".join(parts)


def _value_text(name: str, value: float, unit: str) -> str:
    if name == "per_second":
        return f"{value:,.0f} {unit} per second"
    if name == "waiting_for_input":
        # The rest of the time is computation.
        return f"waiting for input {value:.0%} of the time"
    return f"{name} {value:.4g}"
