"""Tries inputs on all targets, each in a process of its own, and shows how many crashed.

Example: python -m tests.fuzz 100000 --only images
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import tests.conftest  # noqa: F401 - sets TensorFlow's environment
from tests.fuzz.fuzzing import fuzz


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("inputs", type=int, nargs="?", default=1_000_000, help="inputs in total")
    parser.add_argument("--only", action="append", help="a target; can be repeated")
    parser.add_argument("--seed", type=int, default=0, help="other inputs")
    parser.add_argument("--in", dest="folder", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.folder:
        return _one(asked.only[0], asked.inputs, asked.folder, asked.seed)
    names = asked.only or list(_targets())
    shares = [asked.inputs // len(names) + (number < asked.inputs % len(names)) for number in range(len(names))]
    print(f"{'target':20}{'inputs':>10}{'taken':>10}{'refused':>10}{'crashed':>9}{'seconds':>9}", flush=True)
    results = [_in_a_process(name, share, asked.seed) for name, share in zip(names, shares, strict=True)]
    print(f"{sum(inputs for inputs, _ in results):,} inputs, {sum(crashed for _, crashed in results):,} crashes")
    return int(any(crashed for _, crashed in results))


def _in_a_process(name: str, count: int, seed: int) -> tuple[int, int]:
    """Inputs and crashes of a target."""
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "tests.fuzz", str(count), "--only", name, "--seed", str(seed), "--in", folder]
        quiet = os.environ | {"PYTHONWARNINGS": "ignore"}
        with Path(folder, "stderr").open("w") as errors:  # decoders write a line about each damaged image
            done = subprocess.run(command, stdout=subprocess.PIPE, stderr=errors, text=True, check=False, env=quiet)
        if done.returncode:
            kept = Path(f"crash-{name.replace(' ', '-')}.bin")
            last = Path(folder, "last-input")
            kept.write_bytes(last.read_bytes() if last.exists() else b"")
            print(f"{name:20} died with {done.returncode}; its last input is in {kept}", flush=True)
            print(Path(folder, "stderr").read_text()[-2000:], flush=True)
            return 0, 1
    told = json.loads(done.stdout.splitlines()[-1])
    figures = "".join(f"{told[key]:>10,}" for key in ("inputs", "taken", "refused"))
    print(f"{name:20}{figures}{told['crashed']:>9,}{time.monotonic() - begin:>9.0f}", flush=True)
    for place, data in told["crashes"].items():
        print(f"  {place}: {data[:200]}", flush=True)
    return told["inputs"], told["crashed"]


def _targets() -> dict:
    from tests.fuzz.requests import SERVED
    from tests.fuzz.targets import IN_PROCESS

    return {target.name: target for target in (*IN_PROCESS, *SERVED)}


def _one(name: str, count: int, folder: Path, seed: int) -> int:
    outcome = fuzz(_targets()[name], count, folder, seed)
    told = {name: getattr(outcome, name) for name in ("inputs", "taken", "refused", "crashed")}
    print(json.dumps(told | {"crashes": {place: data.hex() for place, data in outcome.crashes.items()}}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
