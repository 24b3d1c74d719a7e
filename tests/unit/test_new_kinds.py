"""The worked examples in docs/new-feature-kind.md and docs/new-label-kind.md work as the pages say."""

import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import hubline
from hubline.components.example_gen.contract import ColumnTypes, Contract
from hubline.components.example_gen.record_checks import find_fault
from hubline.preprocessing.analysis import BeamAnalyzer
from hubline.preprocessing.columns import present
from hubline.preprocessing.kinds.kind import TransformContext
from hubline.preprocessing.labels.label import LABEL
from hubline.trainer.metric_names import MetricName
from hubline.trainer.metrics.in_training import OfOutputs
from hubline.trainer.task import VALUE
from tests.support import example_data
from tests.support.features import Analysed

DOCS = Path(hubline.__file__).parent.parent / "docs"
ROWS: list[dict[str, Any]] = [
    {"x": [0.0]}, {"x": [6.0, 1.0]}, {"x": []}, {"x": [23.0]}, {"x": [-12.5]},
]  # fmt: skip


def code_of(page: str) -> Any:
    """A module with the Python of a page, block after block."""
    module = ModuleType(f"example_of_{page.partition('.')[0].replace('-', '_')}")
    sys.modules[module.__name__] = module  # where pydantic looks for the names in annotations
    for block in re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(), re.DOTALL):
        exec(compile(block, page, "exec", dont_inherit=True), vars(module))
    return module


@pytest.mark.slow
def test_the_example_of_a_feature_is_a_point_on_the_circle_through_tf_transform(tmp_path: Path) -> None:
    feature = code_of("new-feature-kind.md").CyclicFeature.model_validate({"kind": "cyclic", "from": "x", "period": 24})
    rows = [row | {name: [] for name in ("n", "word", "words", "w", "text")} for row in ROWS]
    analysed = Analysed({"hour": feature}, rows, tmp_path)
    angle = np.array([row["x"][0] if row["x"] else np.nan for row in ROWS]) * 2 * np.pi / 24
    expected = np.nan_to_num(np.stack([np.sin(angle), np.cos(angle)], axis=1))
    given = {"x": tf.ragged.constant([row["x"] for row in ROWS], tf.float32, ragged_rank=1).to_sparse()}
    np.testing.assert_allclose([row["hour"] for row in analysed.materialized], expected, atol=1e-6)
    eagerly = feature.transform("hour", TransformContext(lambda name: given[name], BeamAnalyzer()))["hour"]
    np.testing.assert_allclose(eagerly, expected, atol=1e-6)
    inputs = {"hour": tf.constant(expected, tf.float32)}
    np.testing.assert_allclose(analysed.layers()(inputs)["hour"], expected, atol=1e-6)


def test_the_example_of_a_label_has_a_target_a_loss_and_a_contract() -> None:
    code = code_of("new-label-kind.md")
    label = code.CountLabel.model_validate({"kind": "count", "from": "visits"})
    visits = np.array([0, 3, 7])
    column = tf.RaggedTensor.from_row_lengths(tf.constant(visits, tf.int64), [1, 1, 1]).to_sparse()
    target = label.transform(TransformContext(lambda _: present(column), BeamAnalyzer()))[LABEL]
    np.testing.assert_array_equal(target, visits)

    task = code.TRAINING.task(label, None, {})
    raw = tf.constant([[0.1], [1.0], [2.0]])
    rate = np.exp(raw[:, 0].numpy())
    assert float(task.loss()(target, raw)) == pytest.approx((rate - visits * np.log(rate)).mean(), rel=1e-5)
    (name,) = code.TRAINING.training_metrics
    metric = OfOutputs(code.TRAINING.keras_metric(MetricName.parse(name), (), task.centre), task.comparable)
    metric.update_state(target, raw)
    assert float(metric.result()) == pytest.approx(np.abs(rate - visits).mean(), rel=1e-5)
    answer = task.answer(raw)
    np.testing.assert_allclose(answer[VALUE], rate, rtol=1e-6)
    assert set(answer) == code.ANSWER.outputs and [one["value"] for one in code.ANSWER.read({VALUE: rate})] == list(
        rate
    )

    contract = Contract.model_validate({"images": (), **code.count(label)})
    assert find_fault(example_data.record(visits=3), contract, ColumnTypes(numbers=("int64",))) is None
    assert "it has no column 'visits'" in (find_fault(example_data.record(other=3), contract) or "")


def test_the_page_on_labels_names_every_table() -> None:
    from tests.support.label_parts import PARTS

    page = (DOCS / "new-label-kind.md").read_text()
    assert [part.name for part in PARTS if part.name.rpartition(" in ")[2] not in page] == []
