"""How long `hubline run` takes to its first steps, beside what `from tfx import v1` alone takes, in one run.

    make bench

Prints a line for each: the seconds of the quickest of some rounds, and the ratio to the stock import.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path

PIPELINE = Path(__file__).parents[1] / "examples" / "digits" / "pipeline.yaml"


def stock_import() -> float:
    """Seconds for `from tfx import v1` in a new process."""
    begin = time.monotonic()
    subprocess.run([sys.executable, "-c", "from tfx import v1"], check=True, capture_output=True)
    return time.monotonic() - begin


def first_steps() -> tuple[float, float]:
    """Seconds from `hubline run` to its first step, `pin`, and to the first step of the graph."""
    begin = time.monotonic()
    command = [sys.executable, "-m", "pipeline.cli", "run", str(PIPELINE)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        started = (time.monotonic() - begin for line in process.stdout if line.rstrip().endswith("…"))
        times = next(started), next(started)
        process.kill()
    return times


def main() -> None:
    """Takes turns, so that whatever else the machine does falls on both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = [(stock_import(), *first_steps()) for _ in range(parser.parse_args().rounds)]
    stock, pin, graph = (min(column) for column in zip(*rounds, strict=True))
    for name, seconds in (
        ("from tfx import v1", stock),
        ("hubline run to pin", pin),
        ("hubline run to HubModule", graph),
    ):
        print(f"{name:26} {seconds:6.2f} s  {seconds / stock:5.2f}")


if __name__ == "__main__":
    main()
