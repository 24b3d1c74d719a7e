"""Full runs on data that contain little of what the pipeline file needs."""

import json
import subprocess
from pathlib import Path

from hubline.artifacts.examples import Manifest
from tests.support import example_data
from tests.support.project import HUBLINE, PROJECT, make_project

FILE = """\
name: findings
data: {examples: data, split: {train: 6, validation: 2, test: 2, stratify: y}}
features:
  x: {kind: numeric, normalize: z_score}
  colour: {kind: categorical, vocabulary: [red, green]}
label: {from: y, kind: binary, above: ABOVE}
training: {epochs: 4, optimizer: {learning_rate: 0.1}, devices: {device: cpu, count: 2}}
serving: {destination: serving, check: {enabled: false}}
"""


def test_one_class_stops_the_run_before_training_and_unknown_words_are_a_warning(tmp_path: Path) -> None:
    records = [
        example_data.record(
            x=float(number % 100), y=1 + (number % 100 > 50), colour="RED" if number % 4 else "green", row=number
        )
        for number in range(400)
    ]
    path = make_project(tmp_path, FILE.replace("ABOVE", "0.5"), records)

    def run(*options: str) -> tuple[int, dict, str]:
        command = [*HUBLINE, "run", str(path), "--json", *options]
        done = subprocess.run(command, capture_output=True, text=True, cwd=PROJECT)
        return done.returncode, json.loads(done.stdout.splitlines()[-1]), done.stderr

    code, said, stderr = run("--quiet", "--log-level", "warning")
    assert [line for line in stderr.splitlines() if not line.startswith("Warning: ")] == [
        f"Failed in Trainer after {said['seconds']:.1f} s.",
        *said["error"].splitlines(),
        f"Report: {said['report']}/index.html",
        f"Log:    {said['log']}",
    ]
    assert " INFO " not in Path(said["log"]).read_text()
    assert (code, said["status"], said["failed_step"]) == (1, "failed", "Trainer")
    assert "records of the training split are of the class 'yes'; there is nothing to distinguish" in said["error"]
    assert not (tmp_path / "serving").exists()
    path.write_text(FILE.replace("ABOVE", "1.5"))
    code, said, stderr = run("--verbose", "--log-level", "debug")
    assert (code, said["status"]) == (0, "succeeded"), said
    (manifest,) = tmp_path.glob(".hubline/**/ExampleGen/examples/*/manifest.json")
    # Of 204 and 196 records.
    assert Manifest.read(str(manifest.parent)).counts == {"train": 122 + 118, "validation": 80, "test": 41 + 39}
    assert "Trainer done in" in stderr and " INFO " in stderr and " DEBUG " in Path(said["log"]).read_text()
    (warning,) = [text for text in said["warnings"] if "features.colour" in text]
    assert "the vocabulary has 'red', but the data has 'RED': they differ in case or spaces" in warning
    report = next(tmp_path.glob(".hubline/*/runs/*/report/*.html"), None)
    assert report is not None
    pages = [page.read_text() for page in sorted(tmp_path.glob(".hubline/*/runs/*/report/*.html"))]
    assert "they differ in case or spaces" in pages[-1]
    assert "training on 2 CPUs (MirroredStrategy), float32" in pages[-1]
