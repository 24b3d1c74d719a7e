"""A file with `task: infer`, run as KFP's launcher would, compared with a run of it on this machine."""

from pathlib import Path

import pytest

from hubline.pipeline.kubeflow import executor_io
from hubline.pipeline.run import run
from tests.support import example_data
from tests.support import model as make_model
from tests.support.compiled import compiled, in_this_process
from tests.support.inference import CLASSIFY, NAMES, colours, rows
from tests.support.launcher import Cluster, Version

ON_A_VOLUME = "kubeflow: {state: FOLDER/state, every_step: {volumes: [{claim: work, path: FOLDER}]}}\n"


@pytest.mark.both_stacks
@pytest.mark.slow
def test_predictions_on_a_cluster_are_those_of_a_run_here(tmp_path: Path, monkeypatch) -> None:
    records, _ = colours(30)
    for name, some in {"a": records[:20], "b": records[20:]}.items():
        example_data.write_tfrecord(tmp_path / "data" / f"{name}.tfrecord", some)
    make_model.saved(tmp_path / "module", make_model.Classifier())
    (tmp_path / "labels.txt").write_text("\n".join(NAMES))
    path = tmp_path / "infer.yaml"
    path.write_text(CLASSIFY + ON_A_VOLUME.replace("FOLDER", str(tmp_path)))

    spec = compiled(path)
    assert {"hub_colours", "data_examples", "overrides"} == spec["root"]["inputDefinitions"]["parameters"].keys()
    cluster = Cluster(tmp_path / "kfp", Version(executor_logs=True), in_this_process)
    monkeypatch.setattr(executor_io, "MOUNTED", {"minio://": f"{cluster.mounted}/"})
    cluster.run(spec, {})
    assert not cluster.failed
    destination = cluster.metadata("predictor", "predictions")["pushed_destination"]
    assert destination == f"{tmp_path}/predictions/1"

    result, code = run(path, None, quiet=True)
    assert (code, result.newly_predicted) == (0, False), "the same predictions are there already"
    metrics = {"predicted": 30.0, "bad": 0.0, **result.metrics}
    assert cluster.metadata("predictor", "metrics") == pytest.approx({"display_name": "Predictions", **metrics})
    assert [one["key"] for one in rows(destination)] == [f"id-{number}" for number in range(30)]
