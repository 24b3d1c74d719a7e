"""SIGTERM to the process of a pod, as Kubernetes sends it before killing the pod."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from tfx.dsl.components.base import base_executor

from hubline.core.progress import report
from hubline.pipeline.kubeflow import fused_steps

PROJECT = Path(__file__).parents[2]
EXECUTOR = "tests.unit.test_pod_signals.Endless"


class Endless(base_executor.BaseExecutor):
    """An executor that works until it is stopped."""

    def Do(self, input_dict: dict, output_dict: dict, exec_properties: dict[str, Any]) -> None:
        """Writes a file to show that it has begun, and continues."""
        Path(exec_properties["begun"]).touch()
        for done in range(600):
            report(done, 600, "examples")
            time.sleep(0.1)


@pytest.mark.slow
@pytest.mark.parametrize("pod", ["entrypoint", "fused_steps"])
def test_a_pod_that_is_ended_says_so_and_tells_the_launcher_of_nothing(tmp_path: Path, pod: str) -> None:
    begun, output = tmp_path / "begun", tmp_path / "output.json"
    properties = json.dumps({"begun": str(begun)})
    if pod == "entrypoint":
        arguments, name = [EXECUTOR, "{}"], "properties"
    else:
        members = [{"step": step, "executor": EXECUTOR, "types": {}, "inside": {}} for step in ("Trainer", "Pusher")]
        arguments, name = [json.dumps(members)], fused_steps.input_key("Trainer", "properties")
    launched = {"inputs": {"parameterValues": {name: properties}}, "outputs": {"outputFile": str(output)}}
    process = subprocess.Popen(
        [sys.executable, "-m", f"hubline.pipeline.kubeflow.{pod}", *arguments, json.dumps(launched)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=PROJECT,
    )  # fmt: skip
    while not begun.exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 143, said
    assert said.splitlines()[-1] == ("stopped by SIGTERM" if pod == "entrypoint" else "Trainer: stopped by SIGTERM")
    assert not output.exists()
