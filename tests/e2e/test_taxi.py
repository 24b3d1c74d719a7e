"""The taxi example with fewer epochs: from columns to a pushed model that predicts on JSON, with missing and new
values."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hubline.pipeline.run import run

pytestmark = pytest.mark.slow

EXAMPLE = Path(__file__).parents[2] / "examples" / "taxi"
TRIPS = [
    {"payment_type": "Credit Card", "fare": 12.5, "trip_miles": 3.1, "trip_seconds": 900, "trip_start_hour": 18},
    {"payment_type": "Cash", "fare": 12.5, "trip_miles": 3.1, "trip_seconds": 900, "trip_start_hour": 18},
    {"payment_type": "Barter", "fare": None, "company": "founded tomorrow", "trip_start_hour": 99},
    {},
]


def test_columns_become_a_model_that_tells_who_tips(tmp_path: Path) -> None:
    shutil.copytree(EXAMPLE, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("data", "serving", ".hubline"))
    subprocess.run([sys.executable, tmp_path / "make_data.py"], check=True)
    path = tmp_path / "pipeline.yaml"
    path.write_text(path.read_text().replace("epochs: 10", "epochs: 2"))
    result, code = run(path, None, quiet=True)
    assert code == 0, result.error
    assert result.blessed and result.metrics["auc"] > 0.93

    asked = [sys.executable, "-m", "hubline.pipeline.cli", "predict", f"{tmp_path}/serving", "-", "--json"]
    done = subprocess.run(asked, input=json.dumps(TRIPS), check=True, capture_output=True, text=True)
    scores = [each["scores"]["generous"] for each in json.loads(done.stdout)["predictions"]]
    assert len(scores) == len(TRIPS) and all(0 < score < 1 for score in scores)
    assert scores[0] > 0.5 > scores[1]  # tips of cash fares are paid in cash and not recorded
