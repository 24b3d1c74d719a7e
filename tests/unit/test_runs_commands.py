"""`hubline runs` lists, shows and compares the runs of a pipeline file."""

import json
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hubline.artifacts.pins import PinnedFile, PinnedFiles, Pins
from hubline.core.errors import UserError
from hubline.pipeline.cli import app
from hubline.pipeline.load import load
from hubline.pipeline.result import Result, Step
from hubline.pipeline.runs import Difference, differences, keep_inputs, new_folder, run_named, runs_of
from tests.support.project import PIPELINE

NAMES = ["20261128-030000-000001", "20261129-030000-000001", "20261129-040000-000001", "20261130-030000-000001"]


def pins(**sizes: int) -> Pins:
    files = tuple(PinnedFile(path=f"/data/{name}", size=size, modified=7) for name, size in sizes.items())
    return Pins(
        files=PinnedFiles(by_split={"all": files}),
        data_schema=None,
        baseline=None,
        vocabularies={},
        modules={"mean": "a"},
        serving=None,
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A pipeline file with four runs: two that succeeded, one that was killed, and one that failed."""
    path = tmp_path / "pipeline.yaml"
    path.write_text(PIPELINE.replace("epochs: 5", "epochs: 6"))
    after, _ = load(path)
    path.write_text(PIPELINE)
    before, _ = load(path)
    inputs = [(before, pins(a=10, b=20)), (after, pins(a=10, b=21, c=5)), (after, pins(a=10)), None]
    results = [
        {"status": "succeeded", "metrics": {"accuracy": 0.9}, "pushed_model": "serving/1", "newly_pushed": True},
        {"status": "succeeded", "metrics": {"accuracy": 0.95}, "pushed_model": "serving/1"},
        None,
        {"status": "failed", "error": "there is no module", "failed_step": "pin"},
    ]
    steps = (Step(id="pin", seconds=0.1, cached=False), Step(id="Trainer", seconds=0.0, cached=True))
    for name, taken, result in zip(NAMES, inputs, results, strict=True):
        folder = tmp_path / ".hubline" / "tiny" / "runs" / name
        (folder / "report").mkdir(parents=True)
        if taken:
            keep_inputs(folder, *taken, code="x" if name == NAMES[0] else "y")
        if result:
            whole = Result(**result, steps=steps, seconds=3.25, report=str(folder / "report"), log=str(folder / "log"))
            (folder / "report" / "report.json").write_text(whole.model_dump_json())
    return path


def answer(*arguments: str) -> dict:
    done = CliRunner().invoke(app, ["runs", *arguments, "--json"])
    assert done.exit_code == 0, done.output
    return json.loads(done.output)


def test_runs_are_listed_with_their_results(path: Path) -> None:
    runs = answer("list", str(path))["runs"]
    assert [(run["name"], run["status"]) for run in runs] == list(
        zip(NAMES, ["succeeded", "succeeded", "unfinished", "failed"], strict=True)
    )
    assert runs[0]["began"] == "2026-11-28T03:00:00.000001"
    assert (runs[0]["metrics"], runs[0]["newly_pushed"]) == ({"accuracy": 0.9}, True)
    assert [run["name"] for run in answer("list", str(path), "--last", "1")["runs"]] == NAMES[-1:]
    lines = CliRunner().invoke(app, ["runs", "list", str(path)], env={"COLUMNS": "120"}).output.splitlines()
    assert lines[1].split() == [NAMES[0], "succeeded", "3.2", "1", "of", "2", "accuracy", "0.9", "1", "(new)"]


def test_the_difference_names_what_changed_and_nothing_else(path: Path) -> None:
    runs = runs_of(path, None)
    assert differences(runs[0], runs[1]) == [
        Difference("training.epochs", 5, 6),
        Difference("code", "x", "y"),
        Difference("pins.files.all./data/b", "20 bytes, 7", "21 bytes, 7"),
        Difference("metrics.accuracy", 0.9, 0.95),
        Difference("pins.files.all./data/c", None, "5 bytes, 7"),
    ]
    assert differences(runs[1], runs[1]) == []
    assert answer("diff", str(path), NAMES[0], "20261129-03")["differences"][0] == {
        "key": "training.epochs",
        "before": 5,
        "after": 6,
    }
    with pytest.raises(UserError, match=f"{NAMES[3]}: the run ended before it had pinned its inputs"):
        differences(runs[0], runs[3])


def test_a_run_is_named_by_its_beginning_or_counted_from_the_last(path: Path) -> None:
    runs = runs_of(path, None)
    assert [run_named(runs, name).name for name in ("last", "last-1", "20261128", NAMES[1])] == [
        NAMES[3],
        NAMES[2],
        NAMES[0],
        NAMES[1],
    ]
    with pytest.raises(UserError, match=f"20261129: several runs have names that begin so; .*{NAMES[1]}, {NAMES[2]}$"):
        run_named(runs, "20261129")
    with pytest.raises(UserError, match="last-4: there is no such run"):
        run_named(runs, "last-4")


def test_a_run_is_shown_with_its_error_or_its_log(path: Path) -> None:
    assert answer("show", str(path), NAMES[3])["result"]["error"] == "there is no module"
    output = CliRunner().invoke(app, ["runs", "show", str(path)]).output
    assert "Failed in pin after 3.2 s.\nthere is no module\n" in output
    killed = CliRunner().invoke(app, ["runs", "show", str(path), "last-1"]).output
    assert f"is still active, or was killed. Log: {path.parent}/.hubline/tiny/runs/{NAMES[2]}/run.log" in killed


def test_secrets_of_the_cluster_are_not_kept(path: Path) -> None:
    inputs = runs_of(path, None)[0].inputs
    assert inputs is not None and "kubeflow" not in inputs.file and inputs.file["name"] == "tiny"


def test_the_newest_run_is_the_last_even_if_the_clock_was_set_back(tmp_path: Path) -> None:
    now = datetime(2026, 10, 25, 2, 59, 59, 999_999)
    for began in (now, now - timedelta(hours=1), now - timedelta(days=400), now + timedelta(seconds=1)):
        new_folder(tmp_path, began).mkdir()
    (tmp_path / "not-a-run").mkdir()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "20261025-025959-999999",
        "20261025-030000-000000",
        "20261025-030000-000001",
        "20261025-030000-999999",
        "not-a-run",
    ]
    assert new_folder(tmp_path, now).name == "20261025-030001-000000"
