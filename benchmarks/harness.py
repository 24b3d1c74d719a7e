"""Runs contestants in turn, each time in a fresh process, and takes their time and memory."""

import dataclasses
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

ROOT = Path(__file__).parents[1]
WORK = Path(__file__).parent / ".work"

_MB = 1 << 20


class Failed(Exception):
    """A contestant that did not come to its end, or did not do what was to be measured; the message says why."""


@dataclass(frozen=True)
class Step:
    """How one step of a pipeline went."""

    id: str
    begin: float
    """When it began, in seconds since its process was started."""
    seconds: float
    cpu: float
    """The seconds that all threads of its process were at work on some core: what a busy machine changes least."""
    peak: float
    """The most memory that its process held while it ran, in MB (2^20 bytes)."""
    before: float = 0.0
    """The memory that it held when the step began, in MB."""
    cached: bool = False

    @property
    def added(self) -> float:
        """How far the peak was above what was held before, in MB."""
        return self.peak - self.before


@dataclass(frozen=True)
class Sample:
    """How one process went."""

    seconds: float
    """From the start of the process, imports and all, to its end."""
    cpu: float
    """The seconds that its threads were at work on some core."""
    peak: float
    """The most memory that it held, in MB (2^20 bytes)."""
    steps: tuple[Step, ...] = ()
    """The steps of the pipeline that it ran, if it ran one."""
    figures: Mapping[str, float] = dataclasses.field(default_factory=dict)
    """What the contestant took down itself."""

    def step(self, id: str) -> Step:
        """The step of that id.

        Raises:
            Failed: where the cache answered for it, or there is none; neither is a figure to compare.
        """
        for step in self.steps:
            if step.id == id and not step.cached:
                return step
        raise Failed(f"the step {id} did not work; those that ran: {', '.join(step.id for step in self.steps)}")

    def of(self, *ids: str) -> float:
        """The seconds of some steps together, by their ids."""
        return sum(self.step(id).seconds for id in ids)

    @property
    def start_up(self) -> float:
        """The seconds until the first step of the graph began."""
        return next(step.begin for step in self.steps if step.id != "pin")

    def all_steps(self, but: str | None = None) -> float:
        """The seconds of all steps, cached ones and `pin` too, but for one."""
        return sum(step.seconds for step in self.steps if step.id != but)


class PeakMemory:
    """The most memory that this process has held since it was last asked, which Linux keeps and can forget."""

    def forget(self) -> None:
        """Begins anew: with what the process holds now."""
        # Kernels without this file keep one peak for the whole process.
        with suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")

    def read(self) -> float:
        """In MB (2^20 bytes)."""
        lines = Path("/proc/self/status").read_text().splitlines()
        kilobytes = next(line.split()[1] for line in lines if line.startswith("VmHWM:"))
        return int(kilobytes) * 1024 / _MB


class StepWatch:
    """Takes down the steps of a pipeline as they go by in this process."""

    def __init__(self) -> None:
        self.steps: list[dict[str, Any]] = []
        self._memory = PeakMemory()
        self._begin = self._cpu = self._before = 0.0

    def started(self) -> None:
        """A step begins."""
        self._memory.forget()
        self._before = self._memory.read()
        self._begin, self._cpu = time.monotonic(), time.process_time()

    def finished(self, step: str, cached: bool = False) -> None:
        """It is done."""
        seconds = time.monotonic() - self._begin
        cpu = time.process_time() - self._cpu
        taken = Step(step, self._begin, seconds, cpu, self._memory.read(), self._before, cached)
        self.steps.append(dataclasses.asdict(taken))


class Bench:
    """What a measure works with."""

    def __init__(self, rounds: int, quick: bool, progress: Progress | None = None) -> None:
        """A bench.

        Args:
            rounds: How often each contestant takes its turn.
            quick: Whether a tenth of the data will do, to try a measure out.
            progress: Where to show what is running.
        """
        self.rounds = rounds
        self.quick = quick
        self.samples: list[tuple[str, Sample]] = []
        """Every process that was measured, by the name of its contestant, in the order they ran."""
        self._progress = progress or Progress(
            SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), transient=True, disable=True
        )

    def records(self, full: int) -> int:
        """How many records to use: `full`, or a tenth of it."""
        return full // 10 if self.quick else full

    def run(self, name: str, target: str, **arguments: Any) -> Sample:
        """Calls a function in a fresh process and keeps the sample.

        Args:
            name: What to call it in the results.
            target: `module:function`; the function gives `{"figures": {...}, "steps": [...]}`, either or both.
            **arguments: What it is given; anything that JSON can hold.

        Raises:
            Failed: where the process fails.
        """
        task = self._progress.add_task(name, total=None)
        try:
            sample = call(target, WORK / "logs" / f"{name.replace(' ', '-')}.log", **arguments)
        finally:
            self._progress.remove_task(task)
        self.samples.append((name, sample))
        self._progress.console.print(f"{name}: {sample.seconds:.1f} s, {sample.peak:.0f} MB", style="dim")
        return sample

    def prepare(self, target: str, **arguments: Any) -> None:
        """Calls a function in a fresh process for what it makes; nothing of it comes into the results."""
        self.run("preparing", target, **arguments)
        self.samples.pop()

    def alternate(
        self, contestants: Mapping[str, Callable[[int], Sample]], reverse: bool = True
    ) -> dict[str, list[Sample]]:
        """Lets contestants take turns, so that whatever else the machine does falls on all of them.

        Args:
            contestants: By name, what takes a turn, given the number of the round.
            reverse: Whether every second round goes backwards, so that nobody is always the one before.

        Returns:
            By name, a sample of each round.
        """
        taken: dict[str, list[Sample]] = {name: [] for name in contestants}
        for number in range(self.rounds):
            names = list(contestants)
            for name in reversed(names) if reverse and number % 2 else names:
                taken[name].append(contestants[name](number))
        return taken


def call(target: str, log: Path, **arguments: Any) -> Sample:
    """Calls `module:function` in a fresh process; see `Bench.run`. What it prints goes into the log."""
    log.parent.mkdir(parents=True, exist_ok=True)
    answer = log.with_suffix(".json")
    command = [sys.executable, "-m", "benchmarks.contestant", target, json.dumps(arguments), str(answer)]
    environment = os.environ | {"TF_USE_LEGACY_KERAS": "1", "TF_CPP_MIN_LOG_LEVEL": "2", "PYTHONPATH": str(ROOT)}
    with log.open("w") as output:
        begin = time.monotonic()
        with subprocess.Popen(command, stdout=output, stderr=output, env=environment, cwd=ROOT) as process:
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.monotonic() - begin
    if process.returncode:
        raise Failed(f"{target} ended with {process.returncode}; {log}:\n" + log.read_text(errors="replace")[-2000:])
    found = json.loads(answer.read_text()) or {}
    steps = tuple(Step(**{**step, "begin": step["begin"] - begin}) for step in found.get("steps", ()))
    # A contestant that watches its steps makes the kernel forget its peak at each.
    peak = max(usage.ru_maxrss * 1024 / _MB, *(step.peak for step in steps), 0.0)
    cpu = usage.ru_utime + usage.ru_stime
    return Sample(seconds=seconds, cpu=cpu, peak=peak, steps=steps, figures=found.get("figures", {}))


def best(samples: Sequence[Sample], of: Callable[[Sample], float], most: bool = False) -> float:
    """The least of a figure over some samples, or the greatest: what the machine can do undisturbed."""
    return (max if most else min)(map(of, samples))


def fresh(name: str) -> Path:
    """An empty folder to work in."""
    folder = WORK / "runs" / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def newest(root: str, step: str, output: str) -> Path:
    """The folder of the newest artifact of a step's output, in a root where a pipeline was run."""
    return max(Path(root, "artifacts", step, output).iterdir(), key=lambda artifact: int(artifact.name))
