"""Runs of a pipeline in which something fails at a stated moment: `python -m tests.support.fault_runs STORY OUTCOMES`.

TensorFlow and TFX are imported once. Each run is a fork of that process, which takes ten seconds less than a new
interpreter, and is `hubline run --json` in every other respect.

A moment is counted in changes of the file system, which Python announces to audit hooks: a run can be killed before any
file that it creates, renames or removes. Files that TensorFlow and SQLite write are not announced, but lie between
others.
"""

import importlib
import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from tests.support.project import PROJECT

_CHANGES = {"os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.link", "shutil.rmtree"}


@dataclass(frozen=True)
class Fault:
    """Something that happens to a run at a moment of a step."""

    step: str
    at: int | str
    """Number of the change of a file, or `end` if the step makes fewer; `start` or `end` of the step; `batch` for the
    middle of an epoch; otherwise the first change of a file whose path contains this text."""
    kind: str = "kill"
    """`kill` for SIGKILL; `full` for a disk without space, on which the run goes on."""


@dataclass(frozen=True)
class Plan:
    """A run to be made."""

    path: str
    """The pipeline file."""
    disk: str
    """Folder of everything that the run writes; its `serving` is the serving folder."""
    fault: Fault | None = None


@dataclass(frozen=True)
class Outcome:
    """What became of a run."""

    plan: Plan
    code: int
    """Exit code, or minus the number of the signal that ended the process."""
    said: str
    """Standard output and standard error."""
    moment: str
    """Where the fault happened; empty if it didn't."""
    served: dict[str, str]
    """Digests of the versions in the serving folder."""
    events: list[str]
    """Events of the serving folder's history."""
    made: dict[str, Any]
    """Digests of the splits' records, and of the weights of the version that serves."""

    @property
    def result(self) -> dict[str, Any]:
        """The JSON object that the command printed."""
        found: dict[str, Any] = json.loads(next(line for line in self.said.splitlines() if line.startswith("{")))
        return found

    @property
    def ran(self) -> list[str]:
        """The steps that were not cached."""
        return [step["id"] for step in self.result["steps"] if not step["cached"]]


def in_mounts(command: Sequence[str], small_disk: Path | None = None, read_only: Sequence[Path] = ()) -> list[str]:
    """A command that runs another one among mounts of its own, which end with it.

    Args:
        command: The command.
        small_disk: Folder that is an empty disk of 64 MB.
        read_only: Folders that can't be written.
    """
    mounts = [f"mount -t tmpfs -o size=64m none {shlex.quote(str(small_disk))}"] if small_disk else []
    for folder in (shlex.quote(str(path)) for path in read_only):
        mounts += [f"mount --bind {folder} {folder}", f"mount -o remount,ro,bind {folder}"]
    script = " && ".join([*mounts, 'exec "$@"'])
    return ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, "sh", *command]


def run_plans(
    plans: Sequence[Plan], folder: Path, small_disk: Path | None = None, read_only: Sequence[Path] = ()
) -> list[Outcome]:
    """Makes runs one after the other, in a process of their own. After a fault at the end of a step, the other faults
    of this step are left out, because the step is done.

    Args:
        plans: The runs.
        folder: Folder for files of this function.
        small_disk: As in `in_mounts`.
        read_only: As in `in_mounts`.
    """
    story = folder / "story.json"
    story.write_text(json.dumps([asdict(plan) for plan in plans]))
    command = [sys.executable, "-m", "tests.support.fault_runs", str(story)]
    if small_disk or read_only:
        command = in_mounts(command, small_disk, read_only)
    environment = {**os.environ, "PYTHONPATH": str(PROJECT), "TF_USE_LEGACY_KERAS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr[-4000:]
    outcomes = json.loads(story.with_suffix(".outcomes").read_text())
    return [Outcome(**{**each, "plan": _plan(each["plan"])}) for each in outcomes]


def _plan(told: dict[str, Any]) -> Plan:
    return Plan(**{**told, "fault": told["fault"] and Fault(**told["fault"])})


def main(story: Path) -> None:
    """Makes the runs of a story."""
    _import_what_runs_import()
    outcomes: list[Outcome] = []
    ended: set[tuple[str, str]] = set()
    for told in json.loads(story.read_text()):
        plan = _plan(told)
        if plan.fault and (plan.disk, plan.fault.step) in ended:
            continue
        outcomes.append(_outcome(plan, story.with_name(f"run-{len(outcomes)}")))
        if plan.fault and outcomes[-1].moment == "end":
            ended.add((plan.disk, plan.fault.step))
    story.with_suffix(".outcomes").write_text(json.dumps([asdict(outcome) for outcome in outcomes]))


def _import_what_runs_import() -> None:
    for module in ("cli", "graph", "local"):
        importlib.import_module(f"hubline.pipeline.{module}")
    for path in sorted((PROJECT / "components").glob("*/executor.py")):
        importlib.import_module(f"hubline.components.{path.parent.name}.executor")


def _outcome(plan: Plan, output: Path) -> Outcome:
    if (process := os.fork()) == 0:
        _run_and_exit(plan, output)
    code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    Path(plan.disk, "ballast").unlink(missing_ok=True)
    moment = output.with_suffix(".moment")
    return Outcome(
        plan=plan,
        code=code,
        said=output.read_text(errors="replace"),
        moment=moment.read_text() if moment.exists() else "",
        served=_served(Path(plan.disk, "serving")),
        events=_events(f"{plan.disk}/serving"),
        made=_made(plan),
    )


def _served(serving: Path) -> dict[str, str]:
    from hubline.core.digest import tree_digest

    versions = [path for path in serving.glob("*") if path.name.isdecimal()]
    return {path.name: tree_digest(str(path)) for path in sorted(versions)}


def _events(serving: str) -> list[str]:
    from hubline.serving.history import History

    return [f"{event.kind} {event.version}" for event in History.read(serving).events]


def _made(plan: Plan) -> dict[str, Any]:
    from hubline.core.digest import file_digest

    root, serving = Path(plan.disk, "root"), Path(plan.disk, "serving")
    examples = sorted(root.glob("artifacts/ExampleGen/examples/*"), key=lambda path: int(path.name))
    versions = sorted((path for path in serving.glob("*") if path.name.isdecimal()), key=lambda path: int(path.name))
    files = [*examples[-1].glob("Split-*/*")] if examples else []
    weights = [*versions[-1].glob("variables/*.data-*")] if versions else []
    return {"/".join(path.parts[-2:]): file_digest(str(path)) for path in sorted([*files, *weights])}


def _run_and_exit(plan: Plan, output: Path) -> None:
    """Makes a run in this process, which ends with it."""
    code = 1
    try:
        opened = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(opened, 1)
        os.dup2(opened, 2)
        code = _run(plan, output.with_suffix(".moment"))
    finally:
        with suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _run(plan: Plan, moment: Path) -> int:
    from hubline.pipeline import cli, local
    from hubline.trainer.callbacks import Progress

    moments = Moments(plan.fault, Path(plan.disk), moment)
    command = ["hubline", "run", plan.path, "--json", "--root", f"{plan.disk}/root"]
    with ExitStack() as patches:
        patches.enter_context(mock.patch.object(local.Run, "launch", moments.around_step(local.Run.launch)))
        on_batch = moments.after_batch(Progress.on_train_batch_end)
        patches.enter_context(mock.patch.object(Progress, "on_train_batch_end", on_batch))
        patches.enter_context(mock.patch.object(sys, "argv", command))
        sys.addaudithook(moments.audited)
        try:
            cli.main()
        except SystemExit as ended:
            return int(ended.code or 0)
    return 0


class Moments:
    """Watches a run, and lets its fault happen."""

    def __init__(self, fault: Fault | None, disk: Path, moment: Path) -> None:
        self._fault, self._disk, self._moment = fault, disk, moment
        self._changes = self._epoch = 0
        self._batch = -1
        self._step: str | None = None

    def around_step(self, launch: Callable[..., Any]) -> Callable[..., Any]:
        """Watches steps, whose function TFX's launcher calls."""

        def launched(run: Any, step: str, do: Callable[[], Any]) -> Any:
            def watched() -> Any:
                self._step, self._changes = step, 0
                self._reached("start")
                done = do()
                self._reached("end")
                self._step = None
                return done

            return launch(run, step, watched)

        return launched

    def after_batch(self, on_train_batch_end: Callable[..., None]) -> Callable[..., None]:
        """Watches batches of the training."""

        def ended(callback: Any, batch: int, logs: Any = None) -> None:
            on_train_batch_end(callback, batch, logs)
            self._epoch += (
                batch <= self._batch
            )  # of several batches that are trained in one call, only the last is told
            self._batch = batch
            if self._epoch == 2 and batch + 1 >= callback.params["steps"] // 2:
                self._reached("batch")

        return ended

    def audited(self, event: str, arguments: tuple[Any, ...]) -> None:
        """The audit hook."""
        if self._step and self._fault and self._changes_a_file(event, arguments):
            self._changes += 1
            self._reached(self._changes)
            if self._fault and isinstance(self._fault.at, str) and self._fault.at in str(arguments):
                self._reached(self._fault.at)

    def _changes_a_file(self, event: str, arguments: tuple[Any, ...]) -> bool:
        if event == "open":
            path, _, flags = arguments
            if not isinstance(flags, int) or not flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
                return False
            return self._is_ours(path)
        return event in _CHANGES and any(map(self._is_ours, arguments))

    def _is_ours(self, path: Any) -> bool:
        is_path = isinstance(path, str | bytes | os.PathLike)
        return is_path and os.fsdecode(path).startswith(f"{self._disk}/")

    def _reached(self, moment: int | str) -> None:
        fault = self._fault
        if fault is None or fault.step != self._step:
            return
        if moment != fault.at and not (moment == "end" and isinstance(fault.at, int)):
            return
        self._fault = None
        self._moment.write_text(str(moment))
        if fault.kind == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif fault.kind == "full":
            _fill(self._disk / "ballast")
        else:
            raise ValueError(f"{fault.kind}: no such fault")


def _fill(ballast: Path) -> None:
    """Leaves no space on a disk."""
    with ballast.open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            with suppress(OSError):
                while True:
                    file.write(b"\0" * size)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
