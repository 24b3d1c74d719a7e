"""`make release` builds the last commit to the same bytes each time."""

import os
import subprocess
import tarfile
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(not (PROJECT / ".git").exists(), reason="a copy without the project's history")


def release(dist: Path, umask: int) -> dict[str, str]:
    """The SHA-256 sum of each file."""
    command = [PROJECT / "scripts" / "release", "wheel", "image"]
    environment = os.environ | {"DIST": str(dist)}
    built = subprocess.run(command, env=environment, umask=umask, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    return {name: digest for digest, name in map(str.split, built.stdout.splitlines())}


@pytest.mark.slow
def test_wheel_and_image_context_are_the_same_bytes_in_every_build(tmp_path: Path) -> None:
    first = release(tmp_path / "first", 0o022)
    assert first == release(tmp_path / "second", 0o077)
    (wheel,) = (name for name in first if name.endswith(".whl"))
    (context,) = first.keys() - {wheel}
    assert context == f"hubline-{wheel.split('-')[1]}-image-context.tar.gz"
    with tarfile.open(tmp_path / "first" / context) as files:
        names = set(files.getnames())
        assert {member.mtime for member in files} == {int(_commit_time())}
    assert {"Dockerfile", "hubline/serving", "serving/versions.py", "requirements/tfx-1.16-cpu.txt"} <= names
    assert not {name for name in names if name.startswith(("tests", "docs", "examples"))}


def test_an_unknown_part_is_refused(tmp_path: Path) -> None:
    command = [PROJECT / "scripts" / "release", "rpm"]
    done = subprocess.run(command, env=os.environ | {"DIST": str(tmp_path / "dist")}, capture_output=True, text=True)
    assert done.returncode == 2 and "unknown part rpm; use wheel, image, docs or sbom" in done.stderr


def _commit_time() -> str:
    command = ["git", "log", "-1", "--format=%ct"]
    return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True).stdout
