"""A pod's log of a step."""

import subprocess
import sys

PROGRAM = """\
import logging
from hubline.pipeline.kubeflow import logs
from hubline.core.progress import report

logs.to_pod()
logging.getLogger("tfx").info("a word of a library")
logging.getLogger("hubline.components.kserve").info("waiting")
for step in range(1, 1001):
    report(step, 1000, "steps", loss=1.0 / step)
"""


def test_it_has_our_words_and_progress_now_and_then_and_at_its_end() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    said = [line.split(" ", 2)[2] for line in done.stdout.splitlines()]
    assert said[:2] == ["waiting", "1 of 1000 steps loss=1"] and said[-1] == "1000 of 1000 steps loss=0.001"
    assert len(said) == 3 and "library" not in done.stdout + done.stderr
