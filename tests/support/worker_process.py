"""Stands for a worker: `python -m tests.support.worker_process JOB` reads its input, and writes what it was given."""

import json
import os
import signal
import sys
from pathlib import Path

if __name__ == "__main__":
    job = json.loads(Path(sys.argv[1]).read_text())
    task = json.loads(os.environ["TF_CONFIG"])["task"]
    text = Path(job["input"], "shards", "0").read_text()
    if text == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if text == "damaged":
        sys.exit(2)
    output = Path(job["output"])
    output.mkdir(parents=True, exist_ok=True)
    (output / "told").write_text(f"{text} {task['index']} {os.environ['TF_CONFIG']}")
