"""The log of a failed step: possible names of its pod, and the relevant lines."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hubline.pipeline.kubeflow import pod_logs, watch
from hubline.pipeline.kubeflow.api import connect
from hubline.pipeline.kubeflow.submit import submit
from tests.support.kfp_api import WORKFLOW, KfpApi, fnv32a, nodes_of, pod_of
from tests.support.kfp_client import STEPS, Heard, address, file_of, package_of

LOG = "\n".join(f"line {number}" for number in range(50)) + "\nserving: there is no such bucket\n"
NOISE = """\
I1129 10:11:12.123456       1 launcher_v2.go:193] publish success.
F1129 10:11:12.123456       1 main.go:59] failed to execute component: exit status 1
I0000 00:00:1764411072.123456      36 cuda_executor.cc:1015] successful NUMA node read
WARNING: All log messages before absl::InitializeLog() is called are written to STDERR
2026-11-29 10:11:12.123456: I tensorflow/core/platform/cpu_feature_guard.cc:210] This binary is optimized
To enable the following instructions: AVX2 FMA, in other operations, rebuild TensorFlow
time="2026-11-29T10:11:12.123Z" level=info msg="sub-process exited" argo=true
/opt/hubline/lib/python3.10/site-packages/google/api_core/_version.py:246: FutureWarning: You are using
  warnings.warn(message, FutureWarning)
"""


def failed(api: KfpApi, folder: Path, trainer: Any) -> dict[str, watch.StepFailure]:
    """What is reported of a run whose Trainer has failed."""
    client = connect(address(api))
    api.frames["*"] = [{"state": "FAILED", "tasks": {"root": "FAILED", "pin": "SUCCEEDED", "trainer": trainer}}]
    run = submit(client, file_of(folder), package_of(folder), {})
    return dict(watch.wait(client, run.id, STEPS, Heard(), pause=0.001).failed)


def test_the_workflow_tells_the_pod(api: KfpApi, tmp_path: Path) -> None:
    api.dashboard_logs[pod_of("trainer")] = LOG
    assert failed(api, tmp_path, "FAILED") == {"Trainer": watch.StepFailure("", tuple(LOG.splitlines()[-20:]))}


def test_the_last_of_several_tries_is_shown(api: KfpApi, tmp_path: Path) -> None:
    api.dashboard_logs |= {pod_of("trainer", 0): "the first\n", pod_of("trainer", 2): "the last\n"}
    trainer = {"state": "FAILED", "tries": 3}
    assert failed(api, tmp_path, trainer)["Trainer"].lines == ("the last",)


@pytest.mark.parametrize("place", ["logs", "dashboard_logs"])
@pytest.mark.parametrize("pod", ["taxi-tips-x-123", "taxi-tips-x-system-container-impl-123"])
def test_older_versions_tell_the_pod_with_the_task(
    api: KfpApi,
    tmp_path: Path,
    place: str,
    pod: str,
) -> None:
    api.older = True
    getattr(api, place)[pod] = LOG
    trainer = {"state": "FAILED", "nodes": ["taxi-tips-x-123"]}
    assert failed(api, tmp_path, trainer)["Trainer"].lines == tuple(LOG.splitlines()[-20:])


def test_a_pod_is_one_of_its_task_alone() -> None:
    nodes = nodes_of({"pin-driver": "SUCCEEDED", "pin": "FAILED", "pin-more": "FAILED", "trainer": "FAILED"})
    assert pod_logs.pods_of("pin", nodes) == [pod_of("pin")]
    assert pod_logs.pods_of("pin-driver", nodes) == [pod_of("pin-driver")]
    assert pod_logs.pods_of("evaluator", nodes) == []


def test_names_are_those_of_argo() -> None:
    # The values of Argo's own tests: workflow/util/pod_name_test.go and ui/src/shared/pod-name.test.ts.
    assert [fnv32a(text) for text in ("hello", "world")] == [1335831723, 933488787]
    node = {"id": f"{WORKFLOW}-{fnv32a('hello')}", "templateName": "t" * 300}
    assert pod_logs.pod_name(node) == f"{f'{WORKFLOW}-' + 't' * 300}"[:242] + "-1335831723"
    assert pod_logs.pod_name({"id": "x-1"}) == "x-1"


def interleaved() -> Iterator[str]:
    for number, noise in enumerate(NOISE.splitlines() * 5):
        yield f"ours {number}"
        yield noise


def test_lines_of_the_launcher_and_of_libraries_do_not_count() -> None:
    log = "\n".join(interleaved()) + "\n" + NOISE * 3
    assert pod_logs.own_lines(log) == tuple(f"ours {number}" for number in range(25, 45))
    assert pod_logs.own_lines(NOISE) == tuple(NOISE.splitlines()), "where there is nothing else, it is shown"
    error = "2026-11-29 10:11:12.123456: F tensorflow/core/framework/tensor.cc:852] Check failed"
    assert pod_logs.own_lines(error) == (error,)
