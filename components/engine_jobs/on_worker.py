"""What a worker of an engine finds out about itself.

Workers get this file as source. Bytecode depends on Python's version, and the worker may have another one, or no
Hubline; so only Python's library and Beam are imported at the top.
"""

import base64
import hashlib
import importlib
import importlib.metadata
import json
import os
import platform
import socket
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import apache_beam as beam

ALTERNATIVES = {"tensorflow": ("tensorflow", "tensorflow-cpu")}
"""Distributions that stand for another one, as in container images."""


class Probe(beam.DoFn):
    """Compares the worker with what the step has, and fails with the differences."""

    def __init__(self, asked: Mapping[str, Any]) -> None:
        """Prepares the probe.

        Args:
            asked: Has the keys `python`, the minor version; `packages`, versions of distributions by name;
                `environment`, values of environment variables by name; `modules`, digests of Hubline's files by path;
                `read`, paths of files; and `written`, folders in each of which `token`/step is a file.
        """
        self.asked = asked

    def process(self, element: bytes) -> Iterator[bytes]:
        """Fails if there is a difference, or a file that the worker can't read or write."""
        found = list(self._differences()) or list(self._unreachable())
        if found:
            raise RuntimeError(marked(f"the worker on {socket.gethostname()} ({sys.executable}) {'; '.join(found)}"))
        yield element

    def _differences(self) -> Iterator[str]:
        python = minor_version()
        if python != self.asked["python"]:
            yield f"has Python {python}, and the step has {self.asked['python']}"
        for name, version in self.asked["packages"].items():
            found = version_of(name)
            if found != version:
                yield f"has {name} {found}, and the step has {version}" if found else f"has no {name} ({version})"
        for name, value in self.asked["environment"].items():
            if os.environ.get(name) != value:
                yield f"lacks the setting {name}={value}"
        yield from self._code()

    def _code(self) -> Iterator[str]:
        try:
            found = modules()
        except ImportError as error:
            yield f"has no Hubline ({error})"
            return
        expected = self.asked["modules"]
        other = sorted(path for path in {*found, *expected} if found.get(path) != expected.get(path))
        if other:
            yield f"has another Hubline: {len(other)} of its files differ from the step's, such as {other[0]}"

    def _unreachable(self) -> Iterator[str]:
        from hubline.core import storage

        for path in self.asked["read"]:
            try:
                with storage.open_binary(path) as file:
                    file.read(1)
            except Exception as error:
                yield f"can't read {path}: {type(error).__name__}: {error}"
        for folder in self.asked["written"]:
            path = f"{folder}/{self.asked['token']}"
            try:
                with storage.open_binary(f"{path}/step") as file:
                    content = file.read()
            except Exception as error:
                yield f"can't read {folder}, which the step writes to: {type(error).__name__}: {error}"
                continue
            try:
                storage.write_bytes(f"{path}/worker", content)
            except Exception as error:
                yield f"can't write to {folder}: {type(error).__name__}: {error}"


def minor_version() -> str:
    """Python's version without its last part, such as 3.10."""
    return ".".join(platform.python_version_tuple()[:2])


def version_of(name: str) -> str | None:
    """Version of an installed distribution."""
    for each in ALTERNATIVES.get(name, (name,)):
        try:
            return importlib.metadata.version(each)
        except importlib.metadata.PackageNotFoundError:
            pass
    return None


def modules() -> dict[str, str]:
    """Digests of the files of Hubline that this process imports, by path.

    Raises:
        ImportError: if there is none.
    """
    root = Path(str(importlib.import_module("hubline").__file__)).parent
    found = {}
    for folder, _, names in os.walk(root, followlinks=True):
        for name in names:
            if name.endswith(".py"):
                path = Path(folder, name)
                found[path.relative_to(root).as_posix()] = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
    return found


def marked(text: str) -> str:
    """A text that `unmarked` finds in whatever runners make of it: they quote, cut and wrap messages."""
    return f"{text} <hubline:{base64.b64encode(json.dumps(text).encode()).decode()}:>"
