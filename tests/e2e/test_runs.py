"""Full runs: what is done, what is cached, and what is left after an interruption."""

import base64
import html
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from hubline.artifacts.embedded_rows import EmbeddedRows
from hubline.artifacts.predictions import LABEL
from hubline.artifacts.quarantine import FILE as QUARANTINE_LIST
from hubline.artifacts.quarantine import read_quarantine
from hubline.components.spread import local
from hubline.components.spread.own_tasks import OwnTasks
from hubline.components.spread.processes import Processes
from hubline.core.digest import tree_digest
from hubline.pipeline.partial import Part
from hubline.pipeline.result import Result
from hubline.pipeline.run import run
from hubline.pipeline.runs import differences, runs_of
from hubline.pipeline.unchanged import code_digest
from hubline.serving.promotion import rollback
from hubline.serving.versions import version_numbers, versions
from hubline.serving.waiting import find
from hubline.trainer.training_notes import Notes
from tests.support import example_data
from tests.support.planned import as_planned
from tests.support.project import CHECKED, HUBLINE, PIPELINE, PROJECT, make_project
from tests.support.serving_check import assert_answered_as_trained, assert_saved_model_agrees

pytestmark = pytest.mark.slow

NOTHING = """
import sys
from pathlib import Path
from hubline.pipeline.run import run
print(run(Path(sys.argv[1]), None, quiet=True)[0].model_dump_json())
assert not {"tensorflow", "tfx", "apache_beam"} & set(sys.modules)
"""


def ran(result: Result) -> list[str]:
    return [step.id for step in result.steps if not step.cached]


def rewrite(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.fixture(scope="module")
def life(tmp_path_factory) -> tuple[Path, Result]:
    """A pipeline after its first run."""
    path = make_project(tmp_path_factory.mktemp("life"), CHECKED)
    result, code = run(path, None, quiet=True)
    assert code == 0, result.error
    return path, result


def test_a_first_run_pushes_a_version(life) -> None:
    path, result = life
    assert result.status == "succeeded" and result.blessed and result.newly_pushed
    assert result.pushed_model == f"{path.parent}/serving/1"
    assert result.metrics["accuracy"] >= 0.9
    assert len(ran(result)) == len(result.steps) == 13
    used = {step.id: step.usage for step in result.steps if step.id != "pin"}
    assert all(each and each.cpu_seconds > 0 and each.peak_memory > 50e6 for each in used.values())
    exported = sum(path.stat().st_size for path in Path(result.artifacts.model).rglob("*") if path.is_file())
    assert used["Trainer"].written_bytes >= exported
    report = json.loads(Path(result.report, "report.json").read_text())
    assert report == json.loads(result.model_dump_json())
    page = Path(result.report, "index.html").read_text()
    assert all(f'<section id="{name}">' in page for name in ("decision", "training", "data", "anomalies", "steps"))
    assert "Processor seconds" in page and f'<td class="number">{used["Trainer"].cpu_seconds:.1f}</td>' in page
    assert f"This run again: <code>hubline run {path}</code>" in page and code_digest() in page
    assert "Component Evaluator is finished." in Path(result.log).read_text()


def test_the_guide_beside_a_pushed_model_states_what_the_model_answers_about_a_record(life) -> None:
    _, result = life
    version = Path(result.pushed_model)
    request, answer = (
        json.loads((version / part / "predict-rows.json").read_text()) for part in ("requests", "answers")
    )
    ((name, picture),) = request["instances"][0].items()
    encoded = base64.b64decode(picture["b64"])
    assert any(encoded in record for record in validation_records(result))
    found = tf.saved_model.load(str(version)).signatures["predict"](**{name: tf.constant([encoded])})
    stated = answer["predictions"][0]
    assert stated["label"] == found["label"].numpy()[0].decode()
    np.testing.assert_allclose(stated["scores"], found["scores"][0], rtol=1e-5)


def test_a_server_answers_as_the_trained_model_did_before_its_export(life) -> None:
    _, result = life
    reference = assert_answered_as_trained(result, "classify")
    assert_saved_model_agrees(result, reference)
    records, sent = (
        [tf.train.Example.FromString(record).features.feature for record in each]
        for each in (validation_records(result), reference.records)
    )
    assert [each["image"] for each in sent] == [each["image"] for each in records[: len(sent)]]
    assert all(each.keys() == {"image"} for each in sent), "the label stays here"
    assert {each.requests for each in result.serving_check.latencies} == {100}


def validation_records(result: Result) -> list[bytes]:
    files = sorted(Path(result.artifacts.examples, "Split-validation").iterdir())
    return [record for file in files for record in example_data.read_tfrecord(file)]


def test_a_model_stands_beside_always_the_same_answer(life) -> None:
    _, result = life
    files = sorted(Path(result.artifacts.evaluation, "predictions").iterdir())
    records = [record for file in files for record in example_data.read_tfrecord(file)]
    kept = [tf.train.Example.FromString(record).features.feature for record in records]
    labels = np.array([columns[LABEL].int64_list.value[0] for columns in kept])
    decision = result.decision
    always = ["always 'dark'", "always 'light'"].index(decision.baseline.answers["accuracy"])
    assert decision.baseline.metrics["accuracy"] == pytest.approx((labels == always).mean())
    assert decision.checks[-1].rule == "better_than_baseline" and decision.checks[-1].passed
    low, high = decision.intervals["accuracy"]
    assert low <= decision.metrics["accuracy"] <= high
    page = Path(result.report, "index.html").read_text()
    assert f"{decision.baseline.metrics['accuracy']:.4f}" in page and decision.checks[-1].reason[8:40] in page


def test_several_processes_make_the_same_artifacts(
    life: tuple[Path, Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same data and file with another folder for artifacts, store and served models."""
    path, one = life
    stages, pids = [], set()
    monkeypatch.setattr(OwnTasks, "start", lambda self: None)  # so that another process does all tasks
    do = local.run

    def watch(stage: Any, tasks: Any, workers: int, report: Any, processes: Processes) -> None:
        do(stage, tasks, workers, report, processes)
        stages.append(stage.name)
        pids.add(tuple(processes.pids))

    monkeypatch.setattr(local, "run", watch)
    settings = ["beam.workers=2", "beam.min_bytes=0", f"serving.destination={tmp_path}/serving"]
    two, code = run(path, tmp_path / "root", quiet=True, settings=settings)
    assert code == 0, two.error
    assert sorted(stages) == ["analysis", "examples", "predictions", "statistics", "vectors"]
    ((helper,),) = pids  # the same process beside the step's own for all stages
    assert not Path(f"/proc/{helper}").exists()
    for name in ("examples", "statistics", "rows"):
        assert tree_digest(getattr(one.artifacts, name)) == tree_digest(getattr(two.artifacts, name)), name
    predictions = [Path(result.artifacts.evaluation, "predictions") for result in (one, two)]
    assert [file.name for file in sorted(predictions[0].iterdir())] == [
        f"predictions-0000{number}-of-00002.tfrecord" for number in (0, 1)
    ]
    assert len({tree_digest(str(folder)) for folder in predictions}) == 1
    assert one.metrics == two.metrics


def test_a_life_of_runs_does_again_only_what_changed(life) -> None:
    path, first = life
    serving = path.parent / "serving"

    second = json.loads(
        subprocess.run([sys.executable, "-c", NOTHING, str(path)], check=True, capture_output=True, text=True).stdout
    )
    assert second["nothing_to_do"] and not second["newly_pushed"] and second["report"] == first.report
    assert second["pushed_model"] == first.pushed_model and second["metrics"] == first.metrics

    # Without the record of the last run, the candidate is compared with the serving model, which is the same. Where
    # Beam runs, several processes here and one again, changes nothing.
    last_run = path.parent / ".hubline" / "tiny" / "last-run.json"
    text = path.read_text()
    for beam, expected in (("beam: {workers: 2}\n", ["Evaluator", "Pusher"]), ("", [])):
        path.write_text(text + beam)
        last_run.unlink()
        again, code = as_planned(path)
        assert (code, ran(again), again.nothing_to_do) == (0, expected, False)
        assert not again.newly_pushed and again.pushed_model == first.pushed_model and again.metrics == first.metrics
        assert again.decision is not None and again.decision.compared_with == first.pushed_model

    rewrite(path, "training:", "model: {head: {hidden: [16]}}\ntraining:")
    # A bound that no server meets: the run says so, and doesn't push. It is measured again in the next run.
    rewrite(path, "p99: 60001", "p99: 0.001")
    too_slow, code = run(path, None, quiet=True)
    assert (code, ran(too_slow)) == (1, ["Trainer", "Evaluator", "ServingCheck", "Pusher"])
    assert (too_slow.status, too_slow.blessed, too_slow.decision.blessed) == ("not_blessed", False, True)
    assert not too_slow.newly_pushed and too_slow.pushed_model == first.pushed_model
    slow = too_slow.serving_check
    assert not slow.passed and all(each.fault is None for each in slow.comparisons)
    assert [re.sub(r"[\d.]+ ms", "X ms", fault) for fault in slow.faults] == [
        f"p99 of 100 requests of 1 record over {api} is X ms (max_latency_ms.batch_1.p99: 0.001)"
        for api in ("HTTP", "gRPC")
    ]
    page = html.unescape(Path(too_slow.report, "index.html").read_text())
    assert all(fault in page for fault in slow.faults) and "at most 0.001 ms" in page
    rewrite(path, "p99: 0.001", "p99: 60001")
    rewrite(path, "serving: {", "serving: {keep: 2, approval: required, ")
    other_head, code = as_planned(path)
    assert (code, ran(other_head)) == (0, ["ServingCheck", "Pusher"])
    assert not other_head.newly_pushed and other_head.pushed_model == first.pushed_model
    waits = find(str(serving), None)
    assert other_head.waiting_model == f"{serving}/.hubline/waiting/{waits.digest}"
    assert other_head.approve_command == f'hubline models approve {serving} {waits.name} --reason "…"'
    assert other_head.approve_command.replace('"', "&#34;") in Path(other_head.report, "index.html").read_text()
    waiting, code = run(path, None, quiet=True)
    assert (code, waiting.nothing_to_do, waiting.approve_command) == (0, True, other_head.approve_command)
    approved = json.loads(
        subprocess.run(
            [*HUBLINE, "models", "approve", str(serving), "--reason", "looks right", "--json"],
            check=True,
            capture_output=True,
            text=True,
            cwd=PROJECT,
        ).stdout
    )
    assert approved == {"status": "succeeded", "before": 1, "version": 2, "digest": waits.digest}
    rewrite(path, "approval: required, ", "")

    example_data.write_tfrecord(path.parent / "data" / "a.tfrecord", example_data.labelled(160))
    other_data, code = as_planned(path)
    assert (code, [step.id for step in other_data.steps if step.cached]) == (0, ["HubModule.mean"])
    assert version_numbers(str(serving)) == [2, 3], "the file keeps two"

    # A bar too high: nothing is pushed, the run says so, and a repetition doesn't get a blessing from the cache.
    rewrite(path, "thresholds: {", "thresholds: {cross_entropy: {at_most: 0.0}, ")
    served = sorted(item.name for item in serving.iterdir())
    for expected in (["Evaluator", "Pusher"], []):
        refused, code = as_planned(path)
        assert (code, refused.status, ran(refused)) == (1, "not_blessed", expected)
        assert not refused.newly_pushed and refused.pushed_model == other_data.pushed_model
        assert sorted(item.name for item in serving.iterdir()) == served

    runs = runs_of(path, None)
    refusals = ["not_blessed"] * 2
    assert [each.status for each in runs] == ["succeeded"] * 4 + ["not_blessed"] + ["succeeded"] * 3 + refusals
    changed = {each.key: (each.before, each.after) for each in differences(runs[3], runs[5])}
    assert changed.pop("model.head.hidden") == ([], [16])
    assert (changed.pop("serving.approval"), changed.pop("serving.keep")) == (("none", "required"), (None, 2))
    assert changed.keys() <= {f"metrics.{name}" for name in first.metrics}
    keys = [each.key for each in differences(runs[6], runs[7])]
    assert "pins.serving.digest" in keys and f"pins.files.all.{path.parent}/data/a.tfrecord" in keys
    assert not any(each.startswith(("model.", "data.", "code", "versions.")) for each in keys)

    # What was rolled back is not pushed again by the next run, which says so.
    rewrite(path, "thresholds: {cross_entropy: {at_most: 0.0}, ", "thresholds: {")
    back = rollback(str(serving), "wrong labels")
    withdrawn, code = as_planned(path)
    assert (code, ran(withdrawn), withdrawn.blessed) == (0, ["Evaluator", "Pusher"], True)
    assert not withdrawn.newly_pushed and withdrawn.pushed_model == f"{serving}/{back.version}"
    assert any("was rolled back" in warning and "wrong labels" in warning for warning in withdrawn.warnings)

    # A step runs again though nothing changed, and nothing follows; the page says so.
    partial, code = as_planned(path, Part("Evaluator", "Evaluator"))
    assert (code, ran(partial), partial.steps[-1].id) == (0, ["Evaluator"], "Evaluator")
    assert (partial.rerun_from, partial.ended_after, partial.newly_pushed) == ("Evaluator", "Evaluator", False)
    assert "Ended after Evaluator" in Path(partial.report, "index.html").read_text()


def test_a_record_that_does_not_decode_is_named_and_nothing_is_pushed(tmp_path: Path) -> None:
    records = example_data.labelled(100)
    records[30] = example_data.record(image=example_data.random_image(0)[:80], label=0)
    path = make_project(tmp_path, records=records)
    result, code = run(path, None, quiet=True)
    assert (code, result.status, result.failed_step) == (1, "failed", "Embedder")
    assert f"{tmp_path}/data/a.tfrecord: record 15 (counted from 0): its image 'image' does not decode" in str(
        result.error
    )
    assert not (tmp_path / "serving").exists()


def test_a_schema_that_the_data_does_not_fit_stops_the_run(tmp_path: Path) -> None:
    rewritten = PIPELINE.replace("examples: data", "examples: data\n  schema: schema.pbtxt")
    path = make_project(tmp_path, rewritten)
    (tmp_path / "schema.pbtxt").write_text("""
        feature {name: "image" type: BYTES presence {min_fraction: 1} shape {dim {size: 1}}}
        feature {name: "label" type: INT presence {min_fraction: 1} shape {dim {size: 1}} int_domain {min: 5 max: 9}}
    """)
    result, code = run(path, None, quiet=True)
    assert (code, result.status, result.failed_step) == (1, "failed", "DataGate")
    assert "train: column 'label'" in str(result.error)
    page = Path(result.report, "index.html").read_text()
    assert "Failed in DataGate" in page and '<td class="long">Unexpectedly small value: 0.' in page


def test_data_that_has_drifted_from_its_baseline_stops_the_run_or_is_reported(tmp_path: Path) -> None:
    def with_miles(mean: float) -> list[bytes]:
        miles = np.random.default_rng(0).normal(mean, 3, 120).tolist()
        return [
            item + example_data.record(miles=value)
            for item, value in zip(example_data.labelled(120), miles, strict=True)
        ]

    path = make_project(tmp_path, records=with_miles(10))
    frozen = subprocess.run(
        [*HUBLINE, "schema", str(path), "--freeze"], capture_output=True, text=True, check=True, cwd=PROJECT
    )
    lines = "".join(f"\n{line}" for line in frozen.stdout.splitlines() if line.startswith("  "))
    assert lines == "\n  schema: schema.pbtxt\n  baseline: statistics.pb"
    rewrite(path, "examples: data", f"examples: data{lines}\n  drift: {{policy: fail, columns: {{miles: 0.3}}}}")
    make_project(tmp_path, path.read_text(), records=with_miles(20))

    stopped, code = as_planned(path)
    assert (code, stopped.status, stopped.failed_step) == (1, "failed", "DataGate")
    assert "column 'miles': has drifted from the baseline: Jensen-Shannon divergence" in str(stopped.error)
    rewrite(path, "policy: fail", "policy: report")
    reported, code = as_planned(path)
    assert (code, reported.status) == (0, "succeeded")
    assert ran(reported)[0] == "ExampleValidator"
    assert [line in str(stopped.error) for line in reported.warnings] == [True]
    for result in (stopped, reported):
        page = Path(result.report, "index.html").read_text()
        assert '<section id="drift">' in page and "limit 0.3; mean" in page

    rewrite(path, "miles: 0.3", "miles: 1")
    relaxed, code = as_planned(path)
    assert (code, relaxed.warnings) == (0, ())
    assert ran(relaxed) == ["ExampleValidator", "DataGate", "Evaluator", "Pusher"], "nothing is trained again"


def in_span(folder: Path, span: int, records: list[bytes], name: str = "a") -> Path:
    return example_data.write_tfrecord(folder / "data" / f"span-{span}" / f"{name}.tfrecord", records)


def test_a_nightly_run_on_one_more_span_computes_what_is_new_and_counts_every_record(tmp_path: Path) -> None:
    text = PIPELINE.replace(
        "examples: data",
        "examples: data/span-{SPAN}/*\n  window: 2\n  bad_records: {policy: quarantine, max_fraction: 0.1}",
    ).replace("evaluation: {", "evaluation: {slices: [[hour]], ")
    path = make_project(tmp_path, text)
    records = [item + example_data.record(hour=number % 2) for number, item in enumerate(example_data.labelled(360))]
    records[32] = example_data.record(image=example_data.random_image(5)[:60], label=0, hour=1)  # does not decode
    records[6] = example_data.record(image=example_data.random_image(6), hour=0)  # has no label
    for number in range(19):  # small files, which are read together
        in_span(tmp_path, 1, records[6 * number : 6 * number + 6], f"{number:02d}")
    damaged = in_span(tmp_path, 1, records[114:120], "19")
    content = bytearray(damaged.read_bytes())
    content[-30] ^= 0xFF  # in the data of the last record
    damaged.write_bytes(content)
    in_span(tmp_path, 2, records[120:240])

    first, code = run(path, None, quiet=True)
    assert code == 0, first.error
    assert first.spans == (1, 2)
    assert first.decision is not None
    assert {found.slice for found in first.decision.slices} == {"overall", "hour=0", "hour=1"}
    page = Path(first.report, "index.html").read_text()
    for reason in ("does not decode", "it has no label", "checksum"):
        assert reason in page
    lists = (tmp_path / ".hubline" / "tiny" / "artifacts").glob(f"*/*/*/{QUARANTINE_LIST}")
    set_aside = {(Path(entry.file).name, entry.record) for path in lists for entry in read_quarantine(str(path))}
    assert set_aside == {("01.tfrecord", 0), ("05.tfrecord", 2), ("19.tfrecord", 5)}
    store = tmp_path / ".hubline" / "tiny" / "store"
    before = {entry.name for entry in store.iterdir()}
    counts = records_by_split(first)
    assert sum(counts.values()) + 3 == 240, counts

    in_span(tmp_path, 3, records[240:])
    second, code = run(path, None, quiet=True)
    assert code == 0 and second.spans == (2, 3)
    # For the new span: its shards, statistics and rows for each split's shard, and Transform's analysis of the training
    # shard; nothing for the old span. The new model predicts on the test split's shards of both spans.
    assert len({entry.name for entry in store.iterdir()} - before) == 1 + 3 + 3 + 1 + 2
    assert sum(records_by_split(second).values()) == 240


def records_by_split(result: Result) -> dict[str, int]:
    """Number of records used for training, validation and test."""
    rows = max(
        (Path(result.report).parents[2] / "artifacts" / "Embedder" / "rows").iterdir(), key=lambda it: int(it.name)
    )
    return {split: EmbeddedRows.read(str(rows)).count(split) for split in ("train", "validation", "test")}


def test_two_phases_with_kept_views_and_then_the_module_itself(tmp_path: Path) -> None:
    tuned = "model: {head: {standardize: false}, fine_tune: {mean: {after_epochs: 3, learning_rate: 0.001}}}\n"
    stopping = "early_stopping: {patience: 2, monitor: val_loss, min_delta: 0.05}, shuffle_bytes: 50000, "
    views = "training: {augment: [{brightness: 0.1}], cache_views: 2, "
    rewritten = PIPELINE.replace("training: {", tuned + views + stopping)
    rewritten = rewritten.replace("epochs: 5", "epochs: 60").replace("rate: 0.1}", "rate: 0.1, global_clipnorm: null}")
    path = make_project(tmp_path, rewritten)
    result, code = run(path, None, quiet=True)
    assert code == 0, result.error
    assert result.metrics["accuracy"] >= 0.9
    log = Path(result.log).read_text()
    assert "epoch=3" in log and "epoch=5" in log
    trained = Path(result.artifacts.model_run or "")
    epochs = len(json.loads((trained / "curves.json").read_text())["val_loss"])
    notes = Notes.model_validate_json((trained / "training_notes.json").read_text()).notes
    assert 5 <= epochs < 60 and {(note.kind, note.epoch) for note in notes} >= {("stopped_early", epochs)}
    assert f"training stopped after epoch {epochs}" in log and not result.warnings


def start(path: Path, *options: str) -> subprocess.Popen:
    # A shell may make its children ignore Ctrl-C; a terminal doesn't.
    return subprocess.Popen(
        [*HUBLINE, "run", str(path), *options],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=PROJECT,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip


def wait_until(condition: Callable[[], object], process: subprocess.Popen, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.1)


def test_a_run_that_is_cut_short_goes_on_where_it_was(tmp_path: Path) -> None:
    path = make_project(tmp_path, PIPELINE.replace("epochs: 5", "epochs: 80"))
    process = start(path, "--json")
    checkpoints = tmp_path / ".hubline" / "tiny" / "checkpoints"
    wait_until(lambda: list(checkpoints.rglob("*.index")), process)
    again = subprocess.run([*HUBLINE, "run", str(path)], capture_output=True, text=True, cwd=PROJECT)
    assert again.returncode == 2 and "another run of this pipeline is active" in again.stderr
    process.send_signal(signal.SIGINT)
    stdout, _ = process.communicate(timeout=60)
    cut_short = json.loads(stdout.splitlines()[-1])
    assert process.returncode == 130 and cut_short["status"] == "interrupted"
    assert not (tmp_path / "serving").exists()
    page = Path(cut_short["report"], "index.html").read_text()
    assert "The training was cut short; these are its epochs so far." in page
    so_far = json.loads(re.findall(r'id="figures">(.*?)</script>', page, re.DOTALL)[0])["curve-loss"]["data"][0]["y"]

    result, code = as_planned(path)
    assert (code, ran(result)) == (0, ["Trainer", "Evaluator", "Pusher"])
    curves = json.loads(Path(result.artifacts.model_run, "curves.json").read_text())
    assert 0 < len(so_far) < 80 == len(curves["loss"]) and curves["loss"][: len(so_far)] == so_far
    log = Path(result.log).read_text()
    assert "epoch=80" in log and "epoch=1 " not in log
    assert versions(str(tmp_path / "serving")) == ["1"]
    shutil.rmtree(tmp_path / "serving")  # a serving folder that is gone is filled again, not told as served
    again_pushed, code = as_planned(path)
    assert (code, ran(again_pushed), again_pushed.newly_pushed) == (0, ["Pusher"], True)
    assert versions(str(tmp_path / "serving")) == ["1"]


def test_changed_code_runs_the_steps_that_use_it(life, tmp_path: Path) -> None:
    """Uses a copy of the package with one changed file on the same root, like an upgrade."""
    path, _ = life
    for room in (PROJECT / "hubline").iterdir():
        if room.is_symlink():
            subprocess.run(["cp", "-r", str(PROJECT / room.name), str(tmp_path)], check=True)
    subprocess.run(["cp", "-r", str(PROJECT / "hubline"), str(tmp_path)], check=True)
    run(path, None, quiet=True)
    with (tmp_path / "artifacts" / "decision.py").open("a") as source:
        source.write("CHANGED = 1\n")
    planned, done = (
        subprocess.run(
            [*HUBLINE, command, str(path), "--json"],
            capture_output=True, text=True, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(tmp_path)},
        ).stdout.splitlines()[-1]
        for command in ("plan", "run")
    )  # fmt: skip
    steps = [step for step in json.loads(planned)["steps"] if not step["cached"]]
    result = Result.model_validate_json(done)
    assert ran(result) == [step["id"] for step in steps] == ["Evaluator", "Pusher"]
    assert steps[0]["reasons"][0]["text"] == "its code changed"
