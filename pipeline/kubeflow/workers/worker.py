"""The pod of a worker that trains: `python -m hubline.pipeline.kubeflow.workers.worker JOB HOSTS`.

Fetches the step's inputs, runs the worker, and stores the outputs of worker 0. HOSTS are the addresses of the workers
of an indexed Job; in the pods of a TFJob, Training Operator sets TF_CONFIG, and HOSTS don't count.
"""

import json
import os
import signal
import subprocess
import sys
from functools import partial
from typing import Any

from hubline.core import interruption
from hubline.core.errors import UserError
from hubline.pipeline.kubeflow import logs
from hubline.pipeline.kubeflow.workers.exchange import Exchange, fetch_inputs
from hubline.pipeline.kubeflow.workers.patience import patiently

MODULE = "hubline.components.trainer.worker"
"""What trains in the pod."""
FAILED = 2
"""Exit code of a worker that reports an error."""


def main(arguments: list[str]) -> int:
    """Runs the worker; returns its exit code, or 128 plus the number of the signal that ended it."""
    job_path, hosts = arguments
    exchange, config = Exchange(job_path), tf_config(hosts.split(","))
    try:
        with interruption.handled():
            files = patiently(exchange.read)
            patiently(partial(fetch_inputs, files))
            interruption.check()
        code = _run([sys.executable, "-m", MODULE, job_path], {**os.environ, "TF_CONFIG": json.dumps(config)})
        if code == 0 and config["task"]["index"] == 0:
            patiently(partial(exchange.store_outputs, files))
    except interruption.Interrupted:
        return interruption.exit_code(signal.SIGTERM)
    except UserError as error:
        print(error, file=sys.stderr)
        return FAILED
    return code


def tf_config(hosts: list[str]) -> dict[str, Any]:
    """TF_CONFIG: the operator's, or that of a pod of an indexed Job.

    Raises:
        KeyError: if this is a pod of neither.
    """
    if text := os.environ.get("TF_CONFIG"):
        return json.loads(text)
    index = int(os.environ["JOB_COMPLETION_INDEX"])
    return {"cluster": {"worker": hosts}, "task": {"type": "worker", "index": index}}


def _run(command: list[str], env: dict[str, str]) -> int:
    """Runs a process to which SIGTERM is passed on, as Kubernetes sends it to the first process of a container only."""
    with subprocess.Popen(command, env=env, stdin=subprocess.PIPE) as process:
        signal.signal(signal.SIGTERM, lambda *_: process.send_signal(signal.SIGTERM))
        return interruption.shell_code(process.wait())


if __name__ == "__main__":
    logs.to_pod()
    sys.exit(main(sys.argv[1:]))
