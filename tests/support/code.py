"""Simulates changed code, as far as digests of the code can tell."""

from collections.abc import Sequence
from pathlib import Path

import pytest

import hubline
from hubline.core import code_digest as code_digests


def changing(files: Sequence[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Replaces the bytecode of some source files by other bytecode.

    Args:
        files: Paths relative to the root of the repository.
        monkeypatch: Undoes the change.
    """
    for file in files:
        assert (Path(hubline.__file__).parent / file).is_file(), file
    changed = {f"hubline.{file.removesuffix('.py').replace('/', '.')}" for file in files}
    digests = code_digests.module_digests
    monkeypatch.setattr(
        code_digests,
        "module_digests",
        lambda *given: {name: "changed" if name in changed else bytecode for name, bytecode in digests(*given).items()},
    )
