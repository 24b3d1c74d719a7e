"""What the dashboard of Kubeflow Pipelines renders, compared with scikit-learn on the same scores."""

import html
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from tfx.types import standard_artifacts
from tfx.utils import import_utils

from hubline.artifacts.decision import DECISION, Check, Decision
from hubline.artifacts.serving_check import ServingCheckResult
from hubline.components.dashboard.artifacts import SHOWN_CLASSES, confidence_metrics, confusion_matrix, preview
from hubline.components.dashboard.executor import Executor
from hubline.components.dashboard.markdown import decision_text, escaped
from hubline.components.steps import DASHBOARD
from hubline.report.scores import Scores
from tests.support import report as make_report


def counted(classes: int, records: int) -> tuple[Scores, np.ndarray, np.ndarray]:
    """Accumulated scores, true classes as one-hot rows, and the scores themselves."""
    rng = np.random.default_rng(classes)
    label = rng.integers(0, classes, records)
    logits = rng.normal(size=[records, classes]) + 1.5 * np.eye(classes)[label]
    scores = (np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)).astype(np.float32)
    counts = Scores(classes)
    counts.count((np.arange(records), label), scores)
    return counts, np.eye(classes)[label], scores


@pytest.mark.parametrize(("classes", "average"), [(2, "second class"), (5, "micro")])
def test_one_curve_stands_for_all_classes(classes: int, average: str) -> None:
    counts, true, scores = counted(classes, 5000)
    if average == "second class":
        expected = roc_auc_score(true[:, 1], scores[:, 1])
    else:
        expected = roc_auc_score(true, scores, average="micro")
    roc = counts.overall()
    assert roc is not None and roc.auc == pytest.approx(expected, abs=1e-4)


def test_a_point_says_what_its_threshold_gives() -> None:
    counts, true, scores = counted(2, 3000)
    roc = counts.overall()
    assert roc is not None
    points = confidence_metrics(roc)
    assert len(points) <= 200
    for point in points:
        told = scores[:, 1] >= point["confidenceThreshold"]
        positive = true[:, 1] == 1
        assert point["recall"] == pytest.approx(told[positive].mean(), abs=5e-3)
        assert point["falsePositiveRate"] == pytest.approx(told[~positive].mean(), abs=5e-3)
    rates = [point["falsePositiveRate"] for point in points]
    assert rates == sorted(rates) and (rates[0], rates[-1]) == (0.0, 1.0)


def test_there_is_no_curve_of_one_class_alone() -> None:
    counts = Scores(2)
    counts.count((np.arange(3), np.zeros(3, int)), np.full([3, 2], 0.5, np.float32))
    assert counts.overall() is None


def test_a_confusion_matrix_has_a_row_for_each_true_class() -> None:
    assert confusion_matrix(["cat", "dog"], np.array([[3, 1], [0, 5]])) == {
        "annotationSpecs": [{"displayName": "cat"}, {"displayName": "dog"}],
        "rows": [{"row": [3, 1]}, {"row": [0, 5]}],
    }


def test_of_many_classes_the_most_confused_are_shown_in_their_order() -> None:
    rng = np.random.default_rng(0)
    counts = np.diag(rng.integers(50, 99, 100))
    confused = rng.choice(100, SHOWN_CLASSES, replace=False)
    for number, true in enumerate(confused):
        counts[true, confused[(number + 1) % SHOWN_CLASSES]] = number + 1
    shown = confusion_matrix([f"class {n}" for n in range(100)], counts)
    expected = sorted(confused.tolist())
    assert [each["displayName"] for each in shown["annotationSpecs"]] == [f"class {n}" for n in expected]
    np.testing.assert_array_equal([row["row"] for row in shown["rows"]], counts[np.ix_(expected, expected)])


@pytest.mark.parametrize("lines", [["a"] * 99, ["ü" * 400] * 9, [], ["x" * 42] * 20])
def test_a_preview_is_as_long_as_the_frontend_shows(lines: list[str]) -> None:
    text = preview(lines)
    assert len(text.encode()) <= 255 and text.count("\n") <= 20
    assert all(len(line) <= 42 for line in text.splitlines())
    assert [line[:42] for line in lines[: text.count("\n")]] == text.splitlines()


def test_markdown_shows_data_as_it_is() -> None:
    assert escaped("a|b <script> [x](y) *z*\n# w") == r"a\|b \<script\> \[x\]\(y\) \*z\* \# w"


def test_a_decision_in_markdown_has_its_reasons_and_every_metric() -> None:
    check = Check(
        slice="overall",
        metric="auc",
        rule="at_least",
        bound=0.9,
        value=0.8,
        serving=None,
        passed=False,
        reason="failed: no",
    )
    decision = Decision(
        blessed=False,
        compared_with="serving/3",
        metrics={"auc": 0.8, "recall": None},
        serving_metrics={"auc": 0.85, "recall": 0.5},
        slices=(),
        checks=(check,),
        intervals={"auc": (0.75, 0.85), "recall": None},
    )
    assert decision_text(decision).splitlines() == [
        "## Not blessed",
        "",
        "Compared with `serving/3`.",
        "",
        "- failed: no",
        "",
        "| metric | this model | 95 % interval | serving | best constant |",
        "|---|---|---|---|---|",
        "| auc | 0.8000 | 0.7500 to 0.8500 | 0.8500 |  |",
        "| recall |  |  | 0.5000 |  |",
    ]


def artifact_at(type_: type, folder: Path | str):
    made = type_()
    made.uri = str(folder)
    return [made]


@pytest.mark.slow
def test_the_report_on_the_dashboard_warns_of_modules_dates_and_the_training(tmp_path: Path) -> None:
    run = make_report.report(tmp_path)
    blessing = tmp_path / "blessing"
    blessing.mkdir()
    (blessing / DECISION).write_text(run.decision.model_dump_json())
    faults = (f"the server ended {make_report.HOSTILE}",)
    ServingCheckResult(passed=False, faults=faults, records=3, tolerance=0.001).write(str(blessing))
    made = asdict(run.artifacts) | {"blessing": str(blessing), "serving_check": str(blessing)}
    modules, _ = made.pop("modules"), made.pop("model")
    types = {name: getattr(standard_artifacts, kind) for name, kind in DASHBOARD.inputs.items()}
    assert types.keys() == made.keys(), "every artifact that the report reads is an input"
    inputs = {name: artifact_at(types[name], uri) for name, uri in made.items()}
    inputs |= {f"hub_{name}": artifact_at(standard_artifacts.Model, uri) for name, uri in modules.items()}
    outputs = {
        name: artifact_at(import_utils.import_class_by_path(path), tmp_path / f"{name}.out")
        for name, path in DASHBOARD.outputs.items()
    }
    Executor().Do(inputs, outputs, {"name": "pets"})
    page = html.unescape((tmp_path / "report.out").read_text())
    assert f"hubs.photos: the output '{make_report.HOSTILE}' is -inf in 3 of 3 numbers" in page
    assert f"the server ended {make_report.HOSTILE}" in page
    assert "## Serving check failed" in (tmp_path / "decision.out").read_text()
    assert "2 of 9 values are not dates that features.day can read" in page
    assert f"the loss has not changed {make_report.HOSTILE}" in page
    assert "# Trial 2 of 3: val_accuracy 0.75" in page and f"failed: the loss became nan {make_report.HOSTILE}" in page
    shown = {name: value.double_value for name, value in outputs["metrics"][0].mlmd_artifact.custom_properties.items()}
    assert (shown["trials"], shown["best_trial_val_accuracy"]) == (3, 0.75)
    assert shown["best_trial_training.optimizer.learning_rate"] == 0.001
