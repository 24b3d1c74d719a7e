"""Runs that are asked to stop at any point: nothing is pushed, the report is written, and the next run continues."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

from tests.support.project import PROJECT, make_project
from tests.support.signals import Sends

POOR = {name: value for name, value in os.environ.items() if name != "HOME"} | {
    "LANG": "C",
    "PYTHONIOENCODING": "ascii",
}
"""An environment without a home folder, and with a terminal that lacks most characters."""


def test_a_run_that_is_asked_to_end_while_it_starts(tmp_path: Path) -> None:
    path = make_project(tmp_path)
    process = subprocess.Popen(
        [sys.executable, "-m", "hubline.pipeline.cli", "run", str(path)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=PROJECT, env=POOR,
    )  # fmt: skip
    assert process.stdout and process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 143, said
    assert "Interrupted" in said and "SIGTERM" in said and "resume from the finished steps" in said
    (report,) = (tmp_path / ".hubline" / "tiny" / "runs").glob("*/report")
    assert json.loads((report / "report.json").read_text())["status"] == "interrupted"
    assert (report / "index.html").exists() and not (tmp_path / "serving").exists()


POINTS = ("ExampleGen", "Trainer", "Evaluator", "copying", "")
"""The steps at whose end a signal arrives, in a destructor; then during the copying of the model, and never."""


def story(path: Path, output: Path) -> None:
    """Runs the pipeline repeatedly in this process, with a signal at a different point each time."""
    numbers = [signal.SIGTERM, signal.SIGINT] * 3
    told = [run_until(path, point, number) for point, number in zip(POINTS, numbers, strict=False)]
    output.write_text(json.dumps(told))


def run_until(path: Path, point: str, number: signal.Signals) -> dict[str, Any]:
    """The outcome of a run that receives a signal at a point."""
    from hubline.core import storage
    from hubline.pipeline import local
    from hubline.pipeline.run import run
    from hubline.serving.versions import versions

    copy, launch = storage.copy, local.Run.launch
    sent: list[None] = []

    def launched(self: Any, step: str, do: Callable) -> Any:
        def and_then() -> Any:
            done = do()
            if step == point:
                Sends(number)
            return done

        return launch(self, step, and_then)

    def copied(*given: Any, **how: Any) -> None:
        copy(*given, **how)
        if point == "copying" and "Format-Serving" in str(given[0]) and not sent:
            sent.append(os.kill(os.getpid(), number))

    with mock.patch.object(local.Run, "launch", launched), mock.patch.object(storage, "copy", copied):
        result, code = run(path, None, quiet=True)
    return {
        "status": result.status,
        "error": result.error,
        "failed": result.failed_step,
        "code": code,
        "ran": [step.id for step in result.steps if not step.cached],
        "reported": all(Path(result.report, name).exists() for name in ("report.json", "index.html")),
        "serving": versions(str(path.parent / "serving")),
    }


def test_nothing_is_pushed_after_a_signal_and_the_next_run_goes_on(tmp_path: Path) -> None:
    path, output = make_project(tmp_path), tmp_path / "told.json"
    call = f"story(Path({str(path)!r}), Path({str(output)!r}))"
    program = f"from pathlib import Path; from tests.e2e.test_signals import story; {call}"
    subprocess.run([sys.executable, "-c", program], cwd=PROJECT, check=True, timeout=500, env=POOR)
    *stopped, last = json.loads(output.read_text())
    assert [(told["status"], told["error"], told["code"]) for told in stopped] == [
        ("interrupted", "SIGTERM", 143),
        ("interrupted", "SIGINT", 130),
        ("interrupted", "SIGTERM", 143),
        ("interrupted", "SIGINT", 130),
    ]
    assert all(told["reported"] and told["serving"] == [] for told in stopped)
    assert [told["failed"] for told in stopped] == [None, None, None, "Pusher"]
    assert [told["ran"][-1:] for told in stopped] == [["ExampleGen"], ["Trainer"], ["Evaluator"], []]
    assert (last["status"], last["code"], last["ran"], last["serving"]) == ("succeeded", 0, ["Pusher"], ["1"])
