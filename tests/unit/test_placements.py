"""Placements, beside what kfp and kfp-kubernetes write for the same ones."""

import json
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from hubline.pipeline.kubeflow import pod_spec as placed
from hubline.pipeline.kubeflow.config import Kubeflow

EXPECTED = json.loads(Path(__file__).parents[1].joinpath("data", "kfp_kubernetes.json").read_text())
"""As `tests/support/kfp_kubernetes.py` has it."""

ALL = """\
image_pull_secrets: [registry]
every_step:
  image_pull_policy: IfNotPresent
steps:
  Trainer:
    cpu: "4"
    memory: 32Gi
    cpu_request: 500m
    memory_request: 512Mi
    gpus: 2
    env: {TF_GPU_ALLOCATOR: cuda_malloc_async}
    retries: {count: 3, backoff_seconds: 90, backoff_factor: 1.5, max_seconds: 1800}
    volumes:
    - {claim: work, path: /mnt/work}
    - {claim: data, path: /mnt/data, sub_path: taxi}
    secrets:
    - {name: s3, env: {AWS_ACCESS_KEY_ID: key}}
    - {name: keys, path: /etc/keys, optional: true}
    config_maps:
    - {name: zone, env: {TZ: zone}}
    - {name: files, path: /etc/files}
    node_selector: {cloud.google.com/gke-accelerator: nvidia-l4}
    tolerations:
    - {key: nvidia.com/gpu, operator: Exists, effect: NoSchedule}
    - {key: spot, value: "true", effect: NoExecute, toleration_seconds: 60}
    affinity:
    - {match: [{key: zone, values: [a, b]}]}
    - {match: [{key: spot, operator: Exists}], weight: 20}
    shared_memory: 8Gi
    ephemeral_storage: 100Gi
    timeout_seconds: 7200
"""


def kubeflow() -> Kubeflow:
    return Kubeflow.model_validate(YAML(typ="safe", pure=True).load(ALL))


def test_every_placement_is_written_as_kfp_kubernetes_writes_it() -> None:
    placement = kubeflow().placement("Trainer")
    assert placed.on_kubernetes(placement, ["registry"]) == EXPECTED["kubernetes"]
    assert placed.container(placement) == EXPECTED["container"]
    assert placed.retry_policy(placement) == EXPECTED["task"]


def test_every_option_of_a_placement_is_compared() -> None:
    used = kubeflow().placement("Trainer").model_fields_set | {"gpu_type"}
    assert used == set(type(kubeflow().placement("Trainer")).model_fields)


def test_a_step_says_what_differs_from_the_others() -> None:
    file = kubeflow()
    assert placed.on_kubernetes(file.placement("Pusher"), ()) == {"imagePullPolicy": "IfNotPresent"}
    assert placed.container(file.placement("Pusher")) == placed.retry_policy(file.placement("Pusher")) == {}


def mistake(section: dict[str, Any]) -> str:
    with pytest.raises(ValueError) as caught:
        Kubeflow.model_validate(section)
    return str(caught.value)


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"steps": {"Trianer": {}}}, "unknown step 'Trianer'; did you mean 'Trainer'?"),
        ({"steps": {"Pusher": {"gpus": 1}}}, "only steps that run a model can use gpus: Embedder, Trainer"),
        ({"every_step": {"gpus": 1}}, "every_step: only steps that run a model can use gpus"),
        ({"steps": {"Trainer": {"memory": "32 GB"}}}, "such as 500m, 2, 512Mi or 32Gi"),
        ({"steps": {"Trainer": {"cpu": "0"}}}, "is not a positive Kubernetes quantity"),
        ({"steps": {"Trainer": {"cpu": "1", "cpu_request": "1500m"}}}, "cpu_request 1500m exceeds the limit"),
        ({"steps": {"Trainer": {"retries": {"count": 0}}}}, "greater than or equal to 1"),
        ({"steps": {"Trainer": {"secrets": [{"name": "s3"}]}}}, "set `env`"),
        (
            {"steps": {"Trainer": {"shared_memory": "1Gi", "volumes": [{"claim": "a", "path": "/dev/shm"}]}}},
            "two volumes are mounted at /dev/shm",
        ),
        ({"steps": {"Trainer": {"tolerations": [{"operator": "Exists", "value": "a"}]}}}, "takes no value"),
        ({"steps": {"Trainer": {"affinity": [{"match": [{"key": "zone"}]}]}}}, "the operator In takes values"),
        ({"pipeline_root": "/mnt/runs"}, "'/mnt/runs' must be on gs://, s3:// or minio://"),
    ],
)
def test_an_impossible_placement_is_said_to_be(section: dict[str, Any], said: str) -> None:
    assert said in mistake(section)
