"""Another process that holds the lock of an SQLite database."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_LOCK = """
import sqlite3, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None)
database.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
sys.stdin.read()
"""


@contextmanager
def locked_database(path: Path) -> Iterator[None]:
    """Locks a database until the block ends. SQLite's locks don't count within a process."""
    command = [sys.executable, "-c", _LOCK, str(path)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert process.stdout and process.stdout.readline() == b"locked\n"
        yield
    finally:
        process.communicate()
