"""Seals of artifacts: what has changed since a step wrote it is noticed before another step uses it."""

import os
from pathlib import Path

import pytest

from hubline.pipeline.upkeep import Seals, unusable


def sealed(folder: Path) -> tuple[Seals, Path]:
    """Seals, and a file of an artifact with two files."""
    for name in ("Split-train/data", "rows.json"):
        (folder / "artifact" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "artifact" / name).write_bytes(bytes(range(256)))
    seals = Seals(folder / "seals")
    seals.seal([str(folder / "artifact")])
    return seals, folder / "artifact"


@pytest.mark.parametrize("name", ["Split-train/data", "rows.json"])
@pytest.mark.parametrize("how", ["flipped", "cut", "emptied", "removed"])
def test_damage_is_noticed_whichever_file_it_is_in(tmp_path: Path, name: str, how: str) -> None:
    seals, folder = sealed(tmp_path)
    assert unusable(seals, [str(folder)], []) is None
    path, content = folder / name, bytes(range(256))
    if how == "removed":
        path.unlink()
    else:
        path.write_bytes({"flipped": content[:99] + b"\0" + content[100:], "cut": content[:-1], "emptied": b""}[how])
    assert (unusable(seals, [str(folder)], []) or "").startswith(f"{path}: ")


def test_a_change_that_keeps_size_and_time_is_found_thoroughly_and_one_of_the_time_alone_is_none(
    tmp_path: Path,
) -> None:
    seals, folder = sealed(tmp_path)
    path = folder / "rows.json"
    before = path.stat()
    path.write_bytes(bytes(256))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert seals.damage(str(folder)) is None
    assert "it isn't what was written" in (seals.damage(str(folder), thoroughly=True) or "")
    path.write_bytes(bytes(range(256)))
    os.utime(path, (0, 0))
    assert seals.damage(str(folder), thoroughly=True) is None
    seals.drop(str(folder))
    assert seals.damage(str(folder))
