"""Runs contestants in turn, each time in a fresh process, and measures their time and memory."""

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
    """A contestant failed, or did not do what was to be measured; the message says why."""


@dataclass(frozen=True)
class Step:
    """Measurements of one step of a pipeline."""

    id: str
    begin: float
    """Start time in seconds since its process was started."""
    seconds: float
    cpu: float
    """CPU seconds of all threads of its process; the figure that a busy machine affects least."""
    peak: float
    """Peak memory of its process during the step, in MB (2^20 bytes)."""
    before: float = 0.0
    """Memory at the start of the step, in MB."""
    cached: bool = False

    @property
    def added(self) -> float:
        """Peak memory above that at the start of the step, in MB."""
        return self.peak - self.before


@dataclass(frozen=True)
class Sample:
    """Measurements of one process."""

    seconds: float
    """Wall-clock time of the process, including imports."""
    cpu: float
    """CPU seconds of its threads."""
    peak: float
    """Peak memory in MB (2^20 bytes)."""
    steps: tuple[Step, ...] = ()
    """Steps of the pipeline that it ran, if any."""
    figures: Mapping[str, float] = dataclasses.field(default_factory=dict)
    """Figures measured by the contestant itself."""

    def step(self, id: str) -> Step:
        """The step with an id.

        Raises:
            Failed: if the step came from the cache or did not run, so that its time can't be compared.
        """
        for step in self.steps:
            if step.id == id and not step.cached:
                return step
        raise Failed(f"the step {id} did not work; those that ran: {', '.join(step.id for step in self.steps)}")

    def of(self, *ids: str) -> float:
        """Total seconds of steps, by id."""
        return sum(self.step(id).seconds for id in ids)

    @property
    def start_up(self) -> float:
        """Seconds until the first step of the graph began."""
        return next(step.begin for step in self.steps if step.id != "pin")

    def all_steps(self, but: str | None = None) -> float:
        """Total seconds of all steps, including cached ones and `pin`, except one."""
        return sum(step.seconds for step in self.steps if step.id != but)


class PeakMemory:
    """Peak memory of this process since the last reset, which Linux records."""

    def forget(self) -> None:
        """Resets the peak to the current memory."""
        # Kernels without this file have a single peak for the whole process.
        with suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")

    def read(self) -> float:
        """In MB (2^20 bytes)."""
        lines = Path("/proc/self/status").read_text().splitlines()
        kilobytes = next(line.split()[1] for line in lines if line.startswith("VmHWM:"))
        return int(kilobytes) * 1024 / _MB


class StepWatch:
    """Measures the steps of a pipeline that runs in this process."""

    def __init__(self) -> None:
        self.steps: list[dict[str, Any]] = []
        self._memory = PeakMemory()
        self._begin = self._cpu = self._before = 0.0

    def started(self) -> None:
        self._memory.forget()
        self._before = self._memory.read()
        self._begin, self._cpu = time.monotonic(), time.process_time()

    def finished(self, step: str, cached: bool = False) -> None:
        seconds = time.monotonic() - self._begin
        cpu = time.process_time() - self._cpu
        taken = Step(step, self._begin, seconds, cpu, self._memory.read(), self._before, cached)
        self.steps.append(dataclasses.asdict(taken))


class Bench:
    """Runs contestants for a benchmark."""

    def __init__(self, rounds: int, quick: bool, progress: Progress | None = None) -> None:
        """Args:
        rounds: Number of turns of each contestant.
        quick: Whether to use a tenth of the data, for trying out a benchmark.
        progress: Shows what is running.
        """
        self.rounds = rounds
        self.quick = quick
        self.samples: list[tuple[str, Sample]] = []
        """All measured processes with the names of their contestants, in the order they ran."""
        self._progress = progress or Progress(
            SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), transient=True, disable=True
        )

    def records(self, full: int) -> int:
        """Number of records to use: `full`, or a tenth of it."""
        return full // 10 if self.quick else full

    def run(self, name: str, target: str, **arguments: Any) -> Sample:
        """Calls a function in a fresh process and records the sample.

        Args:
            name: Name in the results.
            target: `module:function`; the function returns `{"figures": {...}, "steps": [...]}`, either or both.
            **arguments: JSON-compatible arguments.

        Raises:
            Failed: if the process fails.
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
        """Calls a function in a fresh process for its side effects; it does not appear in the results."""
        self.run("preparing", target, **arguments)
        self.samples.pop()

    def alternate(
        self, contestants: Mapping[str, Callable[[int], Sample]], reverse: bool = True
    ) -> dict[str, list[Sample]]:
        """Runs contestants in turn, so that other load on the machine affects all of them.

        Args:
            contestants: By name, functions that take a turn, given the number of the round.
            reverse: Whether to reverse the order in every second round, so that no contestant always runs before
                another.

        Returns:
            By name, one sample per round.
        """
        taken: dict[str, list[Sample]] = {name: [] for name in contestants}
        for number in range(self.rounds):
            names = list(contestants)
            for name in reversed(names) if reverse and number % 2 else names:
                taken[name].append(contestants[name](number))
        return taken


def call(target: str, log: Path, **arguments: Any) -> Sample:
    """Calls `module:function` in a fresh process; see `Bench.run`. Its output goes to the log."""
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
    # A contestant that measures its steps resets the kernel's peak at each.
    peak = max(usage.ru_maxrss * 1024 / _MB, *(step.peak for step in steps), 0.0)
    cpu = usage.ru_utime + usage.ru_stime
    return Sample(seconds=seconds, cpu=cpu, peak=peak, steps=steps, figures=found.get("figures", {}))


def best(samples: Sequence[Sample], of: Callable[[Sample], float], most: bool = False) -> float:
    """The minimum, or maximum, of a figure over samples: what the machine achieves undisturbed."""
    return (max if most else min)(map(of, samples))


def fresh(name: str) -> Path:
    """An empty working folder."""
    folder = WORK / "runs" / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def newest(root: str, step: str, output: str) -> Path:
    """Folder of the newest artifact of a step's output, in a root in which a pipeline was run."""
    return max(Path(root, "artifacts", step, output).iterdir(), key=lambda artifact: int(artifact.name))
