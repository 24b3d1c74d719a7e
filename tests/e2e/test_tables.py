"""A messy CSV file to a pushed model: `hubline init`, a run of the file it writes, and answers on parsed values."""

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score, precision_score
from typer.testing import CliRunner

from hubline.artifacts.splits import SPLITS
from hubline.pipeline.cli import app
from hubline.pipeline.config import PipelineFile
from hubline.pipeline.load import load
from hubline.pipeline.result import Result
from hubline.pipeline.run import run
from hubline.trainer.training_notes import FILE as NOTES
from hubline.trainer.training_notes import Notes
from tests.support import example_data
from tests.support.ingestion import columns_in
from tests.support.siphash import split_of_key

pytestmark = pytest.mark.slow


def offers(count: int) -> pd.DataFrame:
    """Offers in the notations of a spreadsheet. Members accept those below 1,000 dollars."""
    rng = np.random.default_rng(0)
    price, is_member = rng.uniform(100, 1900, count).round(2), rng.random(count) < 0.7
    begin = datetime(2024, 1, 31)
    return pd.DataFrame(
        {
            "offer_id": np.arange(5000, 5000 + count),
            "customer": [f"C-{number:03d}" for number in rng.integers(0, 90, count)],
            "price": [f"${number:,.2f}" for number in price],
            "rate": [f"{number:.1f} %".replace(".", ",") for number in rng.uniform(0, 20, count)],
            "sold": [(begin + timedelta(hours=7 * n)).strftime("%d/%m/%Y %I:%M %p") for n in range(count)],
            "member": np.where(is_member, "yes", "No"),
            "postcode": rng.choice(["01067", "10115", "80331"], count),
            "rooms": pd.Series(rng.integers(1, 6, count), dtype=float).where(rng.random(count) > 0.1, "n/a"),
            "accepted": np.where(is_member & (price < 1000), "Y", "N"),
        }
    )


def decides_by_its_threshold(model: Any, result: Result) -> None:
    """Checks that no other threshold is better on the validation split, that the answers follow the
    threshold, and that the metrics are those of the answers."""

    def asked(split: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Truth, scores and answers."""
        (shard,) = Path(str(result.artifacts.examples), f"Split-{split}").iterdir()
        records = example_data.read_tfrecord(shard)
        true = np.array([columns_in(record)["accepted"][0] == 1 for record in records])
        answers = model.signatures["serving_default"](examples=tf.constant(records))
        return true, answers["scores"].numpy()[:, 1], answers["label"].numpy() == b"yes"

    true, scores, decided = asked("validation")
    best = max(balanced_accuracy_score(true, scores >= cut) for cut in (*scores, 2.0))
    assert balanced_accuracy_score(true, decided) == pytest.approx(best)
    assert scores[decided].min() > scores[~decided].max()
    notes = Notes.model_validate_json(Path(str(result.artifacts.model_run), NOTES).read_text()).notes
    (said,) = [note.text for note in notes if note.kind == "threshold"]
    threshold = float(said.split("from a score of ")[1].split(",")[0])
    assert (
        scores[decided].min() > threshold > scores[~decided].max()
        and f"macro_recall on the validation split: {best:.4f}" in said
    )
    true, _, decided = asked("test")
    expected = {"accuracy": accuracy_score, "precision": precision_score, "f1": f1_score}
    for metric, score in expected.items():
        assert result.metrics[metric] == pytest.approx(score(true, decided))


def test_a_messy_table_becomes_a_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    offers(600).to_csv("offers.csv", index=False)
    said = CliRunner().invoke(app, ["init", "offers.csv", "--label", "accepted", "--json"])
    assert said.exit_code == 0, said.output
    outcome = json.loads(said.stdout.splitlines()[-1])
    assert "--keep 'offer_id' keeps it" in outcome["left_out"]["offer_id"]
    assert "data.split.group" in outcome["left_out"]["customer"]
    assert outcome["label"] == {"from": "accepted", "kind": "binary"}
    kinds = {name: each["kind"] for name, each in outcome["features"].items()}
    assert kinds == {
        "member": "categorical",
        "postcode": "categorical",
        "price": "numeric",
        "rate": "numeric",
        "rooms": "categorical",
        "sold_hour": "timestamp",
        "sold_weekday": "timestamp",
    }
    again = CliRunner().invoke(app, ["init", "offers.csv", "--label", "accepted"])
    assert again.exit_code and "pass --overwrite" in str(again.exception)

    path = tmp_path / "pipeline.yaml"
    text = path.read_text().replace("epochs: 200", "epochs: 20").replace("[accuracy, ", "[accuracy, precision, f1, ")
    path.write_text(text.replace("kind: binary}", "kind: binary, threshold: {maximize: macro_recall}}"))
    file, _ = load(path)
    assert isinstance(file, PipelineFile) and file.serving.destination.endswith(f"/serving/{file.name}")
    result, code = run(path, None, quiet=True)
    assert code == 0, result.error
    assert result.blessed and result.metrics["accuracy"] > 0.9
    for split in SPLITS:
        (shard,) = Path(str(result.artifacts.examples), f"Split-{split}").iterdir()
        customers = {columns_in(record)["customer"][0] for record in example_data.read_tfrecord(shard)}
        assert {split_of_key(customer, 8, 1, 1) for customer in customers} == {split}

    model = tf.saved_model.load(result.pushed_model)
    decides_by_its_threshold(model, result)
    answer = model.signatures["predict"]
    common = {"rate": [0.05] * 3, "sold": [1_706_700_000] * 3, "postcode": [b"01067"] * 3, "rooms": [3, 3, -(2**63)]}
    given = {"price": [300.0, 1800.0, 300.0], "member": [1, 1, 0], **common}
    dtypes = {name: spec.dtype for name, spec in answer.structured_input_signature[1].items()}
    assert dtypes.keys() == given.keys()
    scores = answer(**{name: tf.constant(values, dtypes[name]) for name, values in given.items()})["scores"].numpy()
    accepted = scores[:, 1] if scores.ndim == 2 else scores
    assert accepted[0] > 0.5 > accepted[1] and accepted[2] < 0.5
