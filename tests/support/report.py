"""The artifacts that a report is made from, with known predictions."""

import json
import re
import shutil
from datetime import datetime
from pathlib import Path

import numpy as np
import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0 import anomalies_pb2

from hubline.artifacts.decision import OVERALL, Advantage, Baseline, Check, Decision, SliceMetrics
from hubline.artifacts.embedded_rows import EmbeddedRows, RowFile
from hubline.artifacts.examples import Manifest, Origin, ShardFile
from hubline.artifacts.findings import BASELINE, ColumnDrift, DataFindings, Finding
from hubline.artifacts.predictions import CANDIDATE, LABEL, RECORD, SERVING
from hubline.report.contents import Artifacts, RunReport, StepTime
from hubline.trainer.tuning.results import TRIALS, Trials
from tests.support import example_data

HOSTILE = "<script>alert('boo')</script>"
CLASSES = ["cat", HOSTILE, "dog & \"cow\""]  # fmt: skip
RECORDS = 60


def scores(seed: int, labels: np.ndarray, classes: int, skill: float = 2.0) -> np.ndarray:
    """Softmax scores, float32 [records, classes], biased towards the true class by `skill`."""
    logits = np.random.default_rng(seed).normal(size=[len(labels), classes])
    logits[np.arange(len(labels)), labels] += skill
    weights = np.exp(logits)
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def evaluation(
    folder: Path, labels: np.ndarray, candidate: np.ndarray, serving: np.ndarray | None, classes: list[str]
) -> Path:
    """An Evaluation artifact with predictions in two files."""
    rows = []
    for number, label in enumerate(labels.tolist()):
        columns = {RECORD: number, LABEL: label, CANDIDATE: example_data.feature(*candidate[number].tolist())}
        if serving is not None:
            columns[SERVING] = example_data.feature(*serving[number].tolist())
        rows.append(example_data.record(**columns))
    half = len(rows) // 2
    example_data.write_tfrecord(folder / "predictions" / "data-00000-of-00002", rows[:half])
    example_data.write_tfrecord(folder / "predictions" / "data-00001-of-00002", rows[half:])
    (folder / "classes.json").write_text(json.dumps(classes))
    (folder / "label.json").write_text('{"kind": "class", "from": "label"}')
    return folder


def examples(folder: Path, labels: np.ndarray) -> Path:
    """An Examples artifact with the test split in two files, one of them GZIP; the image of record i has grey value
    i."""
    records = [
        example_data.record(photo=example_data.image_bytes(np.full([8, 8, 3], number, np.uint8)), label=int(label))
        for number, label in enumerate(labels)
    ]
    example_data.write_tfrecord(folder / "Split-test" / "data-00000-of-00002.gz", records[:25], "GZIP")
    example_data.write_tfrecord(folder / "Split-test" / "data-00001-of-00002", records[25:])
    test = [("data-00000-of-00002.gz", "in/a.gz", 25), ("data-00001-of-00002", f"in/{HOSTILE}", len(records) - 25)]
    shards = [ShardFile(split="test", name=name, origins=(Origin(file=source, count=count),), largest=0, digest="")
              for name, source, count in test]  # fmt: skip
    shards += [ShardFile(split=split, name="data", origins=(Origin(file="in/a.gz", count=count),), largest=0, digest="")
               for split, count in (("train", 1200), ("validation", 40))]  # fmt: skip
    Manifest(shards=tuple(shards), images=("photo",), quarantined=3).write(str(folder))
    bad = [{"file": "in/a.gz", "record": number, "reason": "it has no label 'label'"} for number in (7, 9)]
    bad.append({"file": f"in/{HOSTILE}", "record": 11, "reason": "the file ends in the middle of a record"})
    (folder / "quarantine.jsonl").write_text("".join(json.dumps(line) + "\n" for line in bad))
    return folder


def statistics(folder: Path) -> Path:
    """A Statistics artifact as TFDV writes it: of numbers, some of them missing, and of text."""
    import pandas

    for seed, split in enumerate(("train", "validation", "test")):
        rng = np.random.default_rng(seed)
        miles = rng.normal(10, 3, 400)
        miles[:40] = np.nan
        frame = pandas.DataFrame({"miles": miles, "company": rng.choice(["blue", "yellow", HOSTILE], 400)})
        (folder / f"Split-{split}").mkdir(parents=True)
        proto = tfdv.generate_statistics_from_dataframe(frame)
        (folder / f"Split-{split}" / "FeatureStats.pb").write_bytes(proto.SerializeToString())
    return folder


def anomalies(folder: Path, statistics: Path) -> Path:
    """An ExampleAnomalies artifact with one anomaly, in validation; a finding; and two columns compared with the
    statistics of validation, one of which has drifted."""
    for split in ("train", "validation", "test"):
        found = anomalies_pb2.Anomalies()
        if split == "validation":
            found.anomaly_info["company"].description = "Examples contain values missing from the schema: green (~1%)."
        (folder / f"Split-{split}").mkdir(parents=True)
        (folder / f"Split-{split}" / "SchemaDiff.pb").write_bytes(found.SerializeToString())
    shutil.copy(statistics / "Split-validation" / "FeatureStats.pb", folder / BASELINE)
    miles = ColumnDrift(
        column="miles",
        measure="Jensen-Shannon divergence",
        distance=0.0625,
        missing=(0.1, 0.1),
        limit=0.05,
        drifted=True,
        reason="mean 9.9, was 10.1",
    )
    company = ColumnDrift(
        column="company",
        measure="L-infinity distance",
        distance=0.03,
        missing=(0.0, 0.0),
        limit=0.05,
        drifted=False,
        reason=f"blue 33.0%, {HOSTILE} 34.0%",
    )
    finding = Finding(split="train", column="hour", what="every value is 3, in 400 of 400 records", stops=False)
    DataFindings(findings=(finding,), drift=(company, miles)).write(str(folder))
    return folder


def decision() -> Decision:
    """A decision not to bless, because of a slice."""
    check = Check(slice=OVERALL, metric="accuracy", rule="at_least", bound=0.7, value=0.8125, serving=0.75, passed=True,
                  reason="passed: accuracy 0.8125, must be at least 0.7")  # fmt: skip
    worse = check.model_copy(update={
        "slice": f"company={HOSTILE}", "value": 0.5, "serving": 0.625, "passed": False,
        "reason": "failed: accuracy 0.5000, must be at least 0.7",
    })  # fmt: skip
    overall = {"accuracy": 0.8125, "cross_entropy": 0.4321}
    serving = {"accuracy": 0.75, "cross_entropy": 0.5}
    baseline = Baseline(
        answers={"accuracy": f"always '{HOSTILE}'", "cross_entropy": "the shares of the classes"},
        metrics={"accuracy": 0.4, "cross_entropy": 1.25}, intervals={"accuracy": (0.3, 0.5), "cross_entropy": None},
        better_by={"accuracy": Advantage(difference=0.4125, low=0.3, high=0.5), "cross_entropy": None},
    )  # fmt: skip
    return Decision(
        blessed=False, compared_with="serving/3", metrics=overall, serving_metrics=serving, checks=(check, worse),
        intervals={"accuracy": (0.7123, 0.9012), "cross_entropy": (0.4, 0.5)},
        serving_intervals={"accuracy": (0.65, 0.85), "cross_entropy": None}, baseline=baseline,
        notes=(f"no threshold applied to auc in slices where it is undefined: company={HOSTILE}",),
        slices=(
            SliceMetrics(slice=OVERALL, examples=60, metrics=overall, serving_metrics=serving),
            SliceMetrics(slice=f"company={HOSTILE}", examples=8, metrics={"accuracy": 0.5, "cross_entropy": 0.9},
                         serving_metrics={"accuracy": 0.625, "cross_entropy": 0.8}),
        ),
    )  # fmt: skip


def report(folder: Path) -> RunReport:
    """A run with everything that a report can show."""
    labels = np.random.default_rng(0).integers(0, len(CLASSES), RECORDS)
    rows, model_run = folder / "rows", folder / "model_run"
    rows.mkdir(parents=True)
    broken = RowFile(split="train", name="data-00000-of-00001", records=1200, count=1199, undecodable=(4,))
    EmbeddedRows(files=(broken,), sizes={}, recipe="", embedded=(), views=1).write(str(rows))
    line = {"file": "in/a.gz", "record": 4, "reason": "its image 'photo' does not decode"}
    (rows / "quarantine.jsonl").write_text(json.dumps(line) + "\n")
    model_run.mkdir()
    note = {"kind": "stands_still", "text": f"the loss has not changed {HOSTILE}"}
    parameters = [
        {"part": "hubs.photos", "trainable": 0, "frozen": 1_200_300},
        {"part": "head", "trainable": 4_500, "frozen": 64},
    ]
    (model_run / "training_notes.json").write_text(json.dumps({"notes": [note], "parameters": parameters}))
    module, transform_graph = folder / "module", folder / "transform_graph"
    module.mkdir()
    (module / "tried.json").write_text(json.dumps({"warnings": [f"the output '{HOSTILE}' is -inf in 3 of 3 numbers"]}))
    transform_graph.mkdir()
    unread = {"values": 9, "unread": 2, "such_as": [HOSTILE]}
    (transform_graph / "unread.json").write_text(json.dumps({"features": {"day": unread}, "columns": {"day": "at"}}))
    curves = {"loss": [1.0, 0.5, 0.25], "accuracy": [0.3, 0.6, 0.8]}
    curves |= {"val_loss": [1.1, 0.7, 0.6], "val_accuracy": [0.3, 0.5, 0.7]}
    (model_run / "curves.json").write_text(json.dumps(curves))
    candidate, serving = scores(1, labels, len(CLASSES)), scores(2, labels, len(CLASSES), 1.0)
    return RunReport(
        name="pets",
        file=f"{HOSTILE}/pipeline.yaml",
        began=datetime(2026, 3, 4, 5, 6, 7),
        seconds=93.5,
        status="not_blessed",
        steps=(StepTime("ExampleGen", 2.5, True), StepTime("Trainer", 61.25, False), StepTime("Evaluator", 9.0, False)),
        decision=decision(),
        pushed_model="serving/3",
        log="run.log",
        artifacts=Artifacts(
            examples=str(examples(folder / "examples", labels)),
            rows=str(rows),
            statistics=str(statistics(folder / "statistics")),
            anomalies=str(anomalies(folder / "anomalies", folder / "statistics")),
            transform_graph=str(transform_graph),
            tuner_results=str(tuner_results(folder / "tuner_results")),
            model_run=str(model_run),
            modules={"photos": str(module)},
            evaluation=str(evaluation(folder / "evaluation", labels, candidate, serving, CLASSES)),
        ),
    )


def tuner_results(folder: Path) -> Path:
    """Three trials: one completed, one stopped early and one that failed."""
    key, hidden = "training.optimizer.learning_rate", "model.head.hidden"
    told = {
        "values": {key: 0.001, hidden: [64, 32]},
        "status": "completed",
        "objective": 0.75,
        "epochs": 3,
        "seconds": 2,
    }
    several = [
        told | {"number": 1, "objective": 0.8125, "status": "stopped", "epochs": 1},
        told | {"number": 2},
        told | {"number": 3, "objective": None, "status": "failed", "error": f"the loss became nan {HOSTILE}"},
    ]
    trials = Trials.model_validate({"objective": "val_accuracy", "mode": "max", "search": "random", "trials": several})
    folder.mkdir(parents=True)
    (folder / TRIALS).write_text(trials.model_dump_json())
    return folder


def text_of(page: str) -> str:
    """The text of a page, without scripts and style."""
    page = re.sub(r"<(script|style)\b.*?</\1>", "", page, flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())
