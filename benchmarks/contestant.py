"""Runs one contestant in its own process: `python -m benchmarks.contestant MODULE:FUNCTION ARGUMENTS ANSWER`."""

import importlib
import json
import sys
from pathlib import Path


def main() -> None:
    """Calls the function with the arguments, a JSON object, and writes its result to the file as JSON."""
    target, arguments, answer = sys.argv[1:]
    module, _, name = target.partition(":")
    function = getattr(importlib.import_module(module), name)
    Path(answer).write_text(json.dumps(function(**json.loads(arguments))))


if __name__ == "__main__":
    main()
