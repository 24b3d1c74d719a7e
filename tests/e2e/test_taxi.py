"""The taxi example with fewer epochs: from columns to a pushed model that predicts on JSON, with missing and new
values."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
import tensorflow as tf
from tensorflow_serving.apis import classification_pb2, model_pb2

from hubline.pipeline.run import run
from tests.support.served import Server, serving

pytestmark = pytest.mark.slow

EXAMPLE = Path(__file__).parents[2] / "examples" / "taxi"
TRIPS = [
    {"payment_type": "Credit Card", "fare": 12.5, "trip_miles": 3.1, "trip_seconds": 900, "trip_start_hour": 18},
    {"payment_type": "Cash", "fare": 12.5, "trip_miles": 3.1, "trip_seconds": 900, "trip_start_hour": 18},
    {"payment_type": "Barter", "fare": None, "company": "founded tomorrow", "trip_start_hour": 99},
    {},
]

FULL_TRIPS = TRIPS[:2]
"""Trips with every column that they have set, as a server gets them."""


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

    with serving(tmp_path / "serving", tmp_path / "serve.log") as server:
        rest = json.loads(ask_rest(server, "classify", {"signature_name": "classify", "examples": FULL_TRIPS}))
        served = [dict(each)["generous"] for each in rest["results"]]
        assert served == pytest.approx(scores[:2], abs=1e-6)
        request = classification_pb2.ClassificationRequest(model_spec=model_pb2.ModelSpec(name="model"))
        request.model_spec.signature_name = "classify"
        for trip in FULL_TRIPS:
            request.input.example_list.examples.append(as_example(trip))
        with server.stubs() as (prediction, _):
            found = prediction.Classify(request, timeout=60).result.classifications
        over_grpc = [{each.label: each.score for each in row.classes}["generous"] for row in found]
        assert over_grpc == pytest.approx(scores[:2], abs=1e-6)


def ask_rest(server: Server, verb: str, body: dict) -> str:
    return httpx.post(f"{server.rest}:{verb}", json=body, timeout=60).raise_for_status().text


def as_example(trip: dict) -> tf.train.Example:
    """A record as the examples' data has it."""
    example = tf.train.Example()
    for name, value in trip.items():
        feature = example.features.feature[name]
        if isinstance(value, str):
            feature.bytes_list.value.append(value.encode())
        else:
            (feature.int64_list if isinstance(value, int) else feature.float_list).value.append(value)
    return example
