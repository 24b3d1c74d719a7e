"""The terminal display of a run."""

import io
import json
import logging
import os
import re
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest
from rich.console import Console

from hubline.core.progress import note, report
from hubline.pipeline.display import Display
from hubline.pipeline.load import load
from hubline.pipeline.output import into_log
from hubline.pipeline.paths import Paths
from hubline.pipeline.result import Result, Step
from hubline.pipeline.result_display import example_inputs, show_faults, show_result
from hubline.pipeline.run import failure
from hubline.pipeline.verbosity import log_shown


def test_a_terminal_shows_steps_with_state_time_and_progress() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=120, color_system=None)
    with Display(console) as display:
        display.finished(Step(id="pin", seconds=0.1, cached=False))
        display.planned(["ExampleGen", "Trainer", "Pusher"])
        display.finished(Step(id="ExampleGen", seconds=0.04, cached=True))
        display.started("Trainer")
        report(125, 1000, "examples", epoch=1, loss=0.7)
        report(250, 1000, "examples", epoch=2, loss=0.5)
        note("2 of 8 workers take part")
        rendered = Console(file=io.StringIO(), width=120)
        rendered.print(display._render())
    text = rendered.file.getvalue()  # type: ignore[attr-defined]
    assert [line.split()[:2] for line in text.splitlines()[1:]] == [
        ["pin", "done"], ["ExampleGen", "cached"], ["Trainer", "running"], ["Pusher", "waiting"],
    ]  # fmt: skip
    assert "Trainer: 2 of 8 workers take part\n" in console.file.getvalue()  # type: ignore[attr-defined]
    assert "250 of 1,000 examples" in text and "s left" in text and "epoch 2, loss 0.5" in text


@pytest.mark.parametrize(
    ("start_up", "reports", "left"),
    [
        (50.0, [(100, 1000)], None),
        (50.0, [(100, 1000), (200, 1000), (300, 1000)], 7),
        (2.0, [(5000, 6000), (5010, 6000)], 99),  # resumes from a checkpoint
        (0.0, [(2, 4), (10, 1000), (110, 1000)], 9),  # the second part of a step counts something else
    ],
)
def test_the_time_left_follows_the_pace_and_not_the_start_of_a_step(monkeypatch, start_up, reports, left) -> None:
    now = [0.0]
    monkeypatch.setattr("hubline.pipeline.display.time.monotonic", lambda: now[0])
    display = Display(Console(file=io.StringIO(), width=80))
    display.planned(["Embedder"])
    display.started("Embedder")
    now[0] = start_up
    for done, total in reports:
        now[0] += 1
        display.emit(logging.makeLogRecord({"progress": {"done": done, "total": total, "unit": "n", "values": {}}}))
    rendered = Console(file=io.StringIO(), width=120)
    rendered.print(display._render())
    text = rendered.file.getvalue()  # type: ignore[attr-defined]
    assert re.findall(r"(\d+) s left", text) == ([] if left is None else [str(left)])


def test_elsewhere_each_step_is_a_line() -> None:
    console = Console(file=io.StringIO(), width=80)
    with Display(console) as display:
        display.started("Trainer")
        display.finished(Step(id="Trainer", seconds=3.21, cached=False))
    assert console.file.getvalue().splitlines() == ["Trainer …", "Trainer done in 3.2 s"]  # type: ignore[attr-defined]


def test_elsewhere_a_long_step_has_a_line_a_minute(monkeypatch) -> None:
    now = [0.0]
    monkeypatch.setattr("hubline.pipeline.display.time.monotonic", lambda: now[0])
    console = Console(file=io.StringIO(), width=80)
    with Display(console) as display:
        display.started("Trainer")
        for second in range(0, 150, 10):
            now[0] = float(second)
            values = {"epoch": 1 + second // 60, "epochs": 5, "loss": 0.5, "per_second": 20.0}
            progress = {"done": 20 * second, "total": 6000, "unit": "examples", "values": values}
            display.emit(logging.makeLogRecord({"progress": progress}))
    assert console.file.getvalue().splitlines() == [  # type: ignore[attr-defined]
        "Trainer …",
        "Trainer: 1,200 of 6,000 examples, 240 s left, epoch 2 of 5, loss 0.5, 20 examples per second",
        "Trainer: 2,400 of 6,000 examples, 180 s left, epoch 3 of 5, loss 0.5, 20 examples per second",
    ]


def test_the_end_of_a_failed_run_names_step_error_and_log() -> None:
    console = Console(file=io.StringIO(), width=80)
    result = Result(
        status="failed", failed_step="ExampleGen", error="a.gz: record 3: no label", seconds=4, report="r", log="l.log"
    )
    show_result(console, result, Path("p.yaml"), "IMAGE…")
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "Failed in ExampleGen" in text and "a.gz: record 3: no label" in text and "l.log" in text


def test_a_quiet_run_says_nothing_but_warnings_and_faults(tmp_path: Path) -> None:
    def said(**given: object) -> str:
        console = Console(file=io.StringIO(), width=80)
        show_faults(console, Result.model_validate({"seconds": 4, "report": str(tmp_path), "log": "l.log", **given}))
        return console.file.getvalue()  # type: ignore[attr-defined]

    assert said(status="succeeded", pushed_model="serving/3") == ""
    assert said(status="succeeded", warnings=["train: 3 records lack 'x'"]) == "Warning: train: 3 records lack 'x'\n"

    def check(passed: bool, reason: str) -> dict[str, object]:
        facts = {"slice": "", "metric": "accuracy", "rule": "at_least", "bound": 0.9, "value": 0.4, "serving": None}
        return {**facts, "passed": passed, "reason": reason}

    decision = {
        "blessed": False,
        "compared_with": None,
        "serving_metrics": None,
        "slices": [],
        "metrics": {"accuracy": 0.4},
        "checks": [
            check(False, "failed: accuracy 0.4, must be at least 0.9"),
            check(True, "passed: better than the best constant"),
        ],
    }
    (tmp_path / "index.html").touch()
    assert said(status="not_blessed", decision=decision).splitlines() == [
        "Not blessed (nothing was pushed) after 4.0 s.",
        "  failed: accuracy 0.4, must be at least 0.9",
        f"Report: {tmp_path}/index.html",
        "Log:    l.log",
    ]
    assert "Failed in Trainer after 4.0 s.\nno data\n" in said(status="failed", failed_step="Trainer", error="no data")


def test_the_log_takes_messages_of_its_level_and_can_be_shown(tmp_path: Path) -> None:
    shown, log = io.StringIO(), tmp_path / "run.log"
    with into_log(log, "warning"), log_shown(Console(file=shown, width=200)):
        logging.getLogger("tfx").info("an artifact was found")
        logging.getLogger("tfx").warning("[red]an artifact is gone")
    with into_log(log, "debug"):
        logging.getLogger("tfx").debug("a detail")
    taken = log.read_text()
    assert (
        "artifact was found" not in taken and "WARNING tfx: [red]an artifact is gone" in taken and "a detail" in taken
    )
    assert "artifact was found" not in shown.getvalue() and "[red]an artifact is gone" in shown.getvalue()


def test_the_end_of_a_run_says_what_was_found_in_the_data() -> None:
    console = Console(file=io.StringIO(), width=80)
    result = Result(status="failed", seconds=4, report="r", log="l", warnings=("train: column 'x': has [1] NaN value",))
    show_result(console, result, Path("p.yaml"), "IMAGE…")
    assert "\nWarning: train: column 'x': has [1] NaN value\n" in console.file.getvalue()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("spans", "days", "line"),
    [
        ((8, 9, 10), None, "Spans:  8-10"),
        ((8,), None, "Spans:  8"),
        ((1, 3, 9), None, "Spans:  1-9, 3 in total"),
        ((20775, 20777), (18, 20), "Spans:  20775-20777, 2 in total (2026-11-18 to 2026-11-20)"),
        ((20775,), (18,), "Spans:  20775 (2026-11-18)"),
        (None, None, None),
    ],
)
def test_the_end_of_a_run_names_the_spans_it_took(spans, days, line: str | None) -> None:
    dates = days and tuple(date(2026, 11, day) for day in days)
    console = Console(file=io.StringIO(), width=80)
    show_result(
        console, Result(status="failed", seconds=4, report="r", log="l", spans=spans, dates=dates), Path("p"), "IMAGE…"
    )
    said = [text for text in console.file.getvalue().splitlines() if "Spans" in text]  # type: ignore[attr-defined]
    assert said == ([line] if line else [])


TEXT = """\
name: tiny
data: {examples: data}
features: FEATURES
label: {from: label, kind: class}
HUBS
training: {epochs: 1}
serving: {destination: serving}
"""


@pytest.mark.parametrize(
    ("features", "inputs", "line"),
    [
        ("{photo: {kind: image, from: jpg, size: [8, 8]}}", "photo", "IMAGE…"),
        (
            "{photo: {kind: image, from: jpg, size: [8, 8]}, x: {kind: numeric}}",
            "photo",
            'RECORDS.jsonl   with lines such as {"jpg": …, "x": …}',
        ),
        (
            "{film: {kind: video, frames: 8, size: [8, 8]}}",
            "film",
            'RECORDS.jsonl   with lines such as {"film": [{"b64": "…"}, …]}',
        ),
        ("{t: {kind: text, from: a-b}}", "t", 'RECORDS.jsonl   with lines such as {"a-b": …}'),
        (
            "{a: {kind: numeric}, b: {kind: categorical, encode: none}, c: {kind: categorical, encode: none}, "
            "e: {kind: crossed, of: [a_bucket, b], hash_buckets: 9}, a_bucket: {kind: bucketized, from: a, buckets: 2},"
            " f: {kind: timestamp, from: z, part: hour}, g: {kind: numeric}}",
            None,
            'RECORDS.jsonl   with lines such as {"a": …, "b": …, "z": …, …}',
        ),
    ],
)
def test_the_end_of_a_run_says_how_its_model_can_be_asked(
    tmp_path: Path, features: str, inputs: str | None, line: str
) -> None:
    hubs = f"hubs: {{net: {{handle: net, inputs: {{it: {inputs}}}}}}}" if inputs else ""
    (tmp_path / "p.yaml").write_text(TEXT.replace("FEATURES", features).replace("HUBS", hubs))
    file, _ = load(tmp_path / "p.yaml")
    console = Console(file=io.StringIO(), width=80)
    result = Result(status="succeeded", seconds=4, report="r", log="l", pushed_model="serving/3")
    show_result(console, result, tmp_path / "p.yaml", example_inputs(file))
    said = console.file.getvalue().splitlines()[-1]  # type: ignore[attr-defined]
    assert said == f"Next:   hubline predict serving/3 {line}"


def test_the_end_of_a_run_names_the_page_or_says_that_there_is_none(tmp_path: Path) -> None:
    def shown() -> str:
        console = Console(file=io.StringIO(), width=80)
        show_result(
            console, Result(status="interrupted", seconds=4, report=str(tmp_path), log="l"), Path("p.yaml"), "IMAGE…"
        )
        return console.file.getvalue()  # type: ignore[attr-defined]

    assert f"Report: {tmp_path} (index.html is missing; see the log)\n" in shown()
    (tmp_path / "index.html").touch()
    assert f"Report: {tmp_path}/index.html\n" in shown()


def test_what_libraries_print_goes_into_the_log_even_from_other_processes(tmp_path: Path) -> None:
    program = f"""
import os, subprocess, sys
from pathlib import Path
from hubline.pipeline.output import into_log
with into_log(Path({str(tmp_path / "run.log")!r})) as (stdout, stderr):
    print("from python")
    os.write(2, b"from C\\n")
    subprocess.run(["echo", "from a child"])
    print("for a person", file=stdout)
print("afterwards")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=os.environ)
    assert done.stdout.splitlines() == ["for a person", "afterwards"]
    assert done.stderr == ""
    log = (tmp_path / "run.log").read_text()
    assert all(text in log for text in ("from python", "from C", "from a child"))


def test_a_notebook_s_own_streams_show_only_what_is_for_a_person(tmp_path: Path) -> None:
    program = f"""
import io, json, logging, sys
from pathlib import Path
from hubline.pipeline.output import into_log
real, sys.stdout, sys.stderr = sys.stdout, io.StringIO(), io.StringIO()
before, meanwhile = logging.getLogger("before"), logging.getLogger("meanwhile")
before.addHandler(logging.StreamHandler(sys.stdout))
before.addHandler(logging.lastResort)  # writes to what sys.stderr is by then
with into_log(Path({str(tmp_path / "run.log")!r})) as (stdout, _):
    print("printed")
    before.warning("logged")
    meanwhile.addHandler(logging.StreamHandler(sys.stdout))
    print("for a person", file=stdout)
print("afterwards")
before.warning("logged afterwards")
meanwhile.warning("logged afterwards, too")
print(json.dumps([sys.stdout.getvalue(), sys.stderr.getvalue()]), file=real)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=os.environ)
    *descriptor, notebook = done.stdout.splitlines()
    assert [text.splitlines() for text in json.loads(notebook)] == [
        ["for a person", "afterwards", "logged afterwards"],
        ["logged afterwards"],
    ]
    assert (descriptor, done.stderr) == (["logged afterwards, too"], "")
    log = (tmp_path / "run.log").read_text()
    assert "printed" in log and "logged" in log and "afterwards" not in log


def test_into_log_puts_things_back_after_an_error(tmp_path: Path, capfd) -> None:
    try:
        with into_log(tmp_path / "log"):
            raise RuntimeError
    except RuntimeError:
        print("back")
    assert capfd.readouterr().out == "back\n"


def test_a_result_is_one_line_of_json() -> None:
    result = Result(status="succeeded", seconds=1, report="r", log="l", steps=(Step(id="a", seconds=1, cached=True),))
    text = result.model_dump_json()
    assert "\n" not in text
    assert json.loads(text)["steps"] == [{"id": "a", "seconds": 1.0, "cached": True, "usage": None}]


def hubline(program: str, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, env=os.environ | environment, timeout=60
    )


def test_a_terminal_that_lacks_characters_shows_others_and_the_log_has_all(tmp_path: Path) -> None:
    program = f"""
from pathlib import Path
from hubline.pipeline.output import into_log
with into_log(Path({str(tmp_path / "log")!r})) as (stdout, _):
    print("caf\\u00e9 \\u2026", file=stdout, flush=True)
    import logging
    logging.getLogger("x").warning("caf\\u00e9 \\u2026")
"""
    ran = hubline(program, PYTHONIOENCODING="ascii")
    assert ran.returncode == 0 and ran.stdout == b"caf? ?\n", ran.stderr
    assert "x: café …" in (tmp_path / "log").read_text("utf-8")


@pytest.mark.slow
def test_json_is_whole_in_any_terminal() -> None:
    program = """
import sys
from pathlib import Path
import hubline.pipeline.run
from hubline.pipeline import cli
from hubline.pipeline.result import Result
done = Result(status="failed", error="caf\\u00e9", seconds=1, report="r", log="l"), 1
hubline.pipeline.run.run = lambda *_, **__: done
sys.argv = ["hubline", "run", "p.yaml", "--json"]
cli.main()
"""
    ran = hubline(program, PYTHONIOENCODING="ascii")
    assert ran.returncode == 1 and json.loads(ran.stdout)["error"] == "café"


def test_an_unexpected_exception_of_a_step_is_one_line_with_step_file_and_log() -> None:
    places = Paths.of(Path("p.yaml"), "p", None)
    fault, log = KeyError("scores\nand more"), Path("runs/1/run.log")
    status, error, code = failure(fault, "Evaluator", Path("p.yaml"), places, log)
    assert (status, code) == ("failed", 1)
    assert error == (
        r"Evaluator of p.yaml: unexpected KeyError: 'scores\nand more'; the whole log is in runs/1/run.log"
    )
    assert failure(AssertionError(), None, Path("p.yaml"), places, Path("l"))[1] == (
        "p.yaml: unexpected AssertionError; the whole log is in l"
    )


@pytest.mark.slow
def test_an_unexpected_exception_of_a_command_is_one_line(tmp_path: Path) -> None:
    program = """
import sys
import hubline.pipeline.load
from hubline.pipeline import cli
def read(*_):
    raise KeyError("scores")
hubline.pipeline.load.read = read
sys.argv = ["hubline", "check", "p.yaml"]
cli.main()
"""
    ran = hubline(program, TMPDIR=str(tmp_path))
    (log,) = tmp_path.glob("hubline-*.log")
    said = f"hubline check p.yaml: unexpected KeyError: 'scores'; the traceback is in {log}\n"
    assert (ran.returncode, ran.stdout, ran.stderr.decode()) == (1, b"", said)
    assert "in read" in log.read_text()


def test_an_account_without_a_home_gets_one_of_its_own_for_the_time_being(tmp_path: Path) -> None:
    program = """
import os, pwd
def nobody(_):
    raise KeyError
pwd.getpwuid = nobody
del os.environ["HOME"]
import hubline
home = os.path.expanduser("~")
print(home, oct(os.stat(home).st_mode & 0o777))
"""
    ran = hubline(program, TMPDIR=str(tmp_path))
    home, mode = ran.stdout.decode().split()
    assert home.startswith(f"{tmp_path}/hubline-home-") and mode == "0o700"
    assert list(tmp_path.iterdir()) == [], "removed in the end"
