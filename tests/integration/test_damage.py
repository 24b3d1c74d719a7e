"""Damaged cached files are dropped, recomputed and reported; a user's own files are never touched."""

import os
import re
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from hubline.components.evaluator.predictions import predictor
from hubline.core.digest import file_digest
from hubline.core.errors import UserError
from hubline.pipeline.result import Result
from hubline.pipeline.run import run
from hubline.trainer.caches import Cache
from hubline.trainer.train import Job, train
from hubline.trainer.training_notes import Note
from tests.support import example_data
from tests.support.project import PIPELINE, make_project

pytestmark = pytest.mark.slow

# Uncompressed files split by pattern, and a module whose vectors are cached.
SPLIT = "  split: {train: train, validation: validation, test: test}\n"
PIPELINE = PIPELINE.replace("  split: {train: 6, validation: 2, test: 2}\n", SPLIT)


def flip(path: Path, keep_time: bool = False) -> None:
    """Changes a byte in the middle of a file, in place."""
    before, content = path.stat(), bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    if keep_time:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def ran(result: Result) -> list[str]:
    return [step.id for step in result.steps if not step.cached]


def rows(root: Path, file: str = "Split-train/data-*") -> Path:
    """The newest vectors of the training split, or another file next to them."""
    return max(root.glob(f"artifacts/Embedder/rows/*/{file}"), key=lambda path: int(path.relative_to(root).parts[3]))


@pytest.fixture(scope="module")
def life(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("damage")
    path = make_project(folder, PIPELINE)
    records = example_data.labelled(120)
    for name, begin, end in (("train", 0, 80), ("validation", 80, 100), ("test", 100, 120)):
        example_data.write_tfrecord(folder / "data" / name, records[begin:end])
    result, code = run(path, None, quiet=True)
    assert code == 0, result.error
    again, code = run(path, None, quiet=True)
    assert code == 0, again.error
    return path


def test_what_is_damaged_is_made_again(life: Path) -> None:
    root = life.parent / ".hubline/tiny"
    unharmed = file_digest(str(rows(root)))

    # What is noticed before a step uses it; the other kinds of damage are in the unit tests of seals.
    path = rows(root)
    flip(path)
    result, code = run(life, None, quiet=True)
    assert code == 0, result.error
    assert "Embedder" in ran(result)
    assert file_digest(str(rows(root))) == unharmed
    log = Path(result.log).read_text()
    assert f"{path}: it isn't what was written" in log and "; Embedder runs again" in log

    # With the old modification time, the damage is noticed when a step fails on it.
    flip(rows(root), keep_time=True)
    life.write_text(life.read_text().replace("epochs: 5", "epochs: 6"))
    result, code = run(life, None, quiet=True)
    assert code == 0, result.error
    assert "failed on what was damaged" in Path(result.log).read_text()
    assert {"Embedder", "Trainer"} <= set(ran(result)) and file_digest(str(rows(root))) == unharmed

    # No cache entry is complete any more, and every one is looked up.
    for mark in list(root.glob("store/*/complete"))[::2]:
        flip(mark)
    for path in root.glob("store/*/*/**/*"):
        if path.is_file():
            path.write_bytes(b"")
    result, code = run(life, None, quiet=True, fresh_metadata=True)
    assert code == 0, result.error
    assert "what was kept here is dropped and made again" in Path(result.log).read_text()
    assert file_digest(str(rows(root))) == unharmed


@pytest.mark.both_stacks
def test_a_damaged_metadata_database_is_told_and_started_afresh_by_one_command(life: Path) -> None:
    root = life.parent / ".hubline/tiny"
    data = {path: file_digest(str(path)) for path in (life.parent / "data").iterdir()}
    serving = sorted(path.name for path in (life.parent / "serving").iterdir())
    with sqlite3.connect(root / "metadata.sqlite") as database:
        (page_size,) = database.execute("PRAGMA page_size").fetchone()
    with (root / "metadata.sqlite").open("r+b") as file:
        file.seek(page_size * 3)
        file.write(b"\xff" * page_size)
    with pytest.raises(UserError, match=r"metadata\.sqlite: the metadata database is damaged.*--fresh-metadata"):
        run(life, None, quiet=True)

    # A class is dropped meanwhile, so that the same files yield other records, in folders with the same numbers.
    text = life.read_text().replace("data:\n", "data:\n  bad_records: {policy: quarantine, max_fraction: 0.9}\n")
    life.write_text(text.replace("classes: [dark, light]", "classes: [dark, light, grey]"))
    result, _ = run(life, None, quiet=True, fresh_metadata=True)
    assert result.error is None, result.error
    assert {path: file_digest(str(path)) for path in (life.parent / "data").iterdir()} == data
    assert set(serving) <= {path.name for path in (life.parent / "serving").iterdir()}
    assert [path.name for path in root.glob("artifacts-*")] and list(root.glob("earlier-*metadata.sqlite"))


@pytest.mark.parametrize("step", ["Trainer", "Evaluator"])
def test_rows_that_are_lost_while_a_run_goes_on_are_missed_and_made_again(
    life: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    cut: list[Path] = []

    def lose(path: Path) -> None:
        if not cut:
            example_data.write_tfrecord(path, example_data.read_tfrecord(path)[:-1])
        cut.append(path)

    def training(job: Job, notes: list[Note], caches: list[Cache]) -> Any:
        lose(Path(job.train.rows[0]))
        return train(job, notes, caches)

    def predicting(**arguments: Any) -> Any:
        lose(Path(arguments["split"].rows[0]))
        return predictor(**arguments)

    by_step = {"Trainer": ("train", training), "Evaluator": ("predictor", predicting)}
    name, losing = by_step[step]
    monkeypatch.setattr(f"hubline.components.{step.lower()}.executor.{name}", losing)
    life.write_text(re.sub(r"epochs: \d+", f"epochs: {len(step)}", life.read_text()))
    result, code = run(life, None, quiet=True)
    assert code == 0, result.error
    assert len(cut) == 2
    assert f"{step} failed on what was damaged: " in Path(result.log).read_text()
    assert {"Embedder", step} <= set(ran(result))
