"""`make release` builds the last commit to the same bytes each time."""

import os
import shutil
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


def refused(dist: Path, *parts: str, script: Path = PROJECT / "scripts" / "release") -> str:
    environment = os.environ | {"DIST": str(dist)}
    done = subprocess.run([script, *parts], env=environment, capture_output=True, text=True, cwd=script.parents[1])
    assert done.returncode != 0
    return done.stderr


def test_what_is_no_release_is_never_removed(tmp_path: Path) -> None:
    kept = tmp_path / "dist"
    kept.mkdir()
    (kept / "mine").write_text("mine")
    assert "unknown part rpm; use wheel, image, docs or sbom" in refused(kept, "rpm")
    assert "holds other files than a release (it has no SHA256SUMS)" in refused(kept, "sbom")
    assert (kept / "mine").read_text() == "mine"


@pytest.mark.slow
def test_a_release_that_fails_leaves_the_earlier_one(tmp_path: Path) -> None:
    copy, dist = tmp_path / "copy", tmp_path / "dist"
    subprocess.run(["git", "clone", "--quiet", PROJECT, copy], check=True)
    dist.mkdir()
    (dist / "SHA256SUMS").write_text("00  hubline-0.1.whl\n")
    (dist / "hubline-0.1.whl").write_text("earlier")
    with (copy / ".dockerignore").open("a") as file:
        file.write("!no_such_folder\n")
    author = ["-c", "user.name=test", "-c", "user.email=test@example.com"]
    subprocess.run(["git", *author, "commit", "--quiet", "--all", "--message=broken"], cwd=copy, check=True)
    assert "no_such_folder" in refused(dist, "image", script=copy / "scripts" / "release")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy", "dist"]
    assert sorted(path.name for path in dist.iterdir()) == ["SHA256SUMS", "hubline-0.1.whl"]
    shutil.copy(PROJECT / ".dockerignore", copy)
    subprocess.run(["git", *author, "commit", "--quiet", "--all", "--message=mended"], cwd=copy, check=True)
    subprocess.run(["scripts/release", "image"], env=os.environ | {"DIST": str(dist)}, cwd=copy, check=True)
    names = sorted(path.name for path in dist.iterdir())
    assert len(names) == 2 and names[0] == "SHA256SUMS" and names[1].endswith("-image-context.tar.gz")


def _commit_time() -> str:
    command = ["git", "log", "-1", "--format=%ct"]
    return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True).stdout
