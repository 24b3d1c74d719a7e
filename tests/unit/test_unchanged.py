"""A run with nothing to do is detected, and any change of what determines the result causes a run."""

from collections.abc import Callable
from pathlib import Path

import pytest

from hubline.artifacts.pins import Pins
from hubline.core import code_digest
from hubline.core.usage import Usage
from hubline.pipeline import unchanged
from hubline.pipeline.config import AnyFile
from hubline.pipeline.load import load
from hubline.pipeline.paths import Paths
from hubline.pipeline.result import Result, Step
from hubline.pipeline.snapshot import pin
from hubline.pipeline.unchanged import earlier_result, keep, run_key
from hubline.pipeline.upkeep import Seals
from tests.support import example_data, hub_modules
from tests.support.project import make_project


@pytest.fixture
def project(tmp_path: Path) -> tuple[Path, Paths]:
    """A pipeline file whose last run succeeded, with one artifact and a report."""
    path = make_project(tmp_path)
    places = Paths.of(path, "tiny", None)
    output, report = places.artifacts / "Trainer" / "1", places.runs / "1" / "report"
    for file in (output / "weights", report / "index.html"):
        file.parent.mkdir(parents=True)
        file.write_text("content")
    Seals(places.seals).seal([str(output)])
    usage = Usage(cpu_seconds=2.0, read_bytes=1, written_bytes=1, peak_memory=1)
    result = Result(
        status="succeeded",
        newly_pushed=True,
        rerun_from="Trainer",
        steps=(Step(id="Trainer", seconds=3.0, cached=False, usage=usage),),
        seconds=9.0,
        report=str(report),
        log=f"{report}/log",
    )
    keep(places, run_key(*seen(path)), [str(output)], result)
    return path, places


def seen(path: Path) -> tuple[AnyFile, Pins, str]:
    file, _ = load(path)
    return file, pin(file), unchanged.code_digest()


def test_the_same_again_has_nothing_to_do(project: tuple[Path, Paths]) -> None:
    path, places = project
    result = earlier_result(places, run_key(*seen(path)))
    assert result is not None and result.nothing_to_do and not result.newly_pushed
    assert [(step.id, step.seconds, step.cached) for step in result.steps] == [("Trainer", 0.0, True)]
    assert result.steps[0].usage is None and result.rerun_from is None  # of the run before


@pytest.mark.parametrize(
    "change",
    [
        lambda path: path.write_text(path.read_text().replace("epochs: ", "epochs: 1")),
        lambda path: example_data.write_tfrecord(path.parent / "data" / "b.tfrecord", example_data.labelled(3)),
        lambda path: (path.parent / "module" / "saved_model.pb").write_bytes(b"another"),
        lambda path: hub_modules.mean_colour(path.parent / "serving" / "7"),
    ],
    ids=["pipeline file", "data", "module", "serving version"],
)
def test_what_pin_and_the_file_say_counts(project: tuple[Path, Paths], change: Callable[[Path], None]) -> None:
    path, places = project
    change(path)
    assert earlier_result(places, run_key(*seen(path))) is None


def test_where_steps_run_does_not_count(project: tuple[Path, Paths]) -> None:
    path, places = project
    path.write_text(path.read_text() + "beam: {workers: 2}\nkubeflow: {state: gs://bucket/state}\n")
    result = earlier_result(places, run_key(*seen(path)))
    assert result is not None and result.nothing_to_do


def test_the_code_and_the_stack_count(project: tuple[Path, Paths], monkeypatch: pytest.MonkeyPatch) -> None:
    path, _ = project
    before = run_key(*seen(path))
    monkeypatch.setattr(unchanged, "version", lambda name: "0")
    assert run_key(*seen(path)) != before
    monkeypatch.undo()
    assert run_key(*seen(path)) == before
    source = Path(code_digest.__file__)
    monkeypatch.setattr(
        Path, "read_bytes", lambda self, read=Path.read_bytes: b"other" if self.samefile(source) else read(self)
    )
    assert run_key(*seen(path)) != before


@pytest.mark.parametrize("lost", ["artifacts/Trainer/1/weights", "runs/1/report/index.html", "last-run.json"])
def test_outputs_must_be_there(project: tuple[Path, Paths], lost: str) -> None:
    path, places = project
    (places.root / lost).unlink()
    assert earlier_result(places, run_key(*seen(path))) is None


def test_damaged_outputs_and_records_are_made_again(project: tuple[Path, Paths]) -> None:
    path, places = project
    key = run_key(*seen(path))
    (places.artifacts / "Trainer" / "1" / "weights").write_text("cut")
    assert earlier_result(places, key) is None
    (places.root / "last-run.json").write_text("{")
    assert earlier_result(places, key) is None
