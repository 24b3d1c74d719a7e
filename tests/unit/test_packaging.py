"""The wheel, which `pip install .` installs and Beam workers receive."""

import importlib.metadata
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from hubline.core.package_versions import version
from tests.support.locks import locked

PROJECT = Path(__file__).parents[2]
ROOMS = tuple(link.name for link in (PROJECT / "hubline").iterdir() if link.is_symlink())


@pytest.mark.slow
def test_the_wheel_holds_every_module_and_the_command(tmp_path: Path) -> None:
    for name in ("pyproject.toml", "LICENSE"):
        shutil.copy(PROJECT / name, tmp_path)
    shutil.copytree(PROJECT / "hubline", tmp_path / "hubline", symlinks=True)
    for room in ROOMS:
        shutil.copytree(PROJECT / room, tmp_path / room, ignore=shutil.ignore_patterns("__pycache__"))
    build = "from setuptools import build_meta; print(build_meta.build_wheel('dist'))"
    built = subprocess.run([sys.executable, "-c", build], cwd=tmp_path, capture_output=True, text=True, check=True)
    with zipfile.ZipFile(tmp_path / "dist" / built.stdout.splitlines()[-1]) as wheel:
        names = set(wheel.namelist())
        (entry_points,) = (name for name in names if name.endswith("entry_points.txt"))
        assert "hubline = hubline.pipeline.cli:main" in wheel.read(entry_points).decode()
        (about,) = (name for name in names if name.endswith("/METADATA"))
        lines = wheel.read(about).decode().splitlines()
        assert "License-Expression: Apache-2.0" in lines and "License-File: LICENSE" in lines
    modules = {f"hubline/{path.relative_to(PROJECT)}" for room in ROOMS for path in (PROJECT / room).rglob("*.py")}
    page = {f"hubline/report/page.{part}" for part in ("html.j2", "css", "js")}
    templates = {"pipeline/init/pipeline.yaml", "serving/model_card.html", "trainer/serving_guide/README.md"}
    assert modules | {"hubline/pipeline/schema.json"} | page | {f"hubline/{each}.j2" for each in templates} <= names
    assert {name.partition("/")[0] for name in names if ".dist-info/" not in name} == {"hubline"}


def test_the_locks_name_no_address_and_hash_every_package() -> None:
    for lock in (PROJECT / "requirements").glob("*.txt"):
        text = lock.read_text()
        assert "://" not in text, lock
        pinned = [line for line in text.splitlines() if "==" in line and not line.lstrip().startswith("#")]
        if "override" not in lock.name:
            assert pinned and all(line.endswith("\\") for line in pinned), lock


@pytest.mark.parametrize(("stack", "python"), [("tfx-1.16", "3.10"), ("tfx-1.21", "3.13")])
@pytest.mark.parametrize("variant", ["cpu", "gpu"])
def test_an_image_has_the_versions_of_its_stack_and_nothing_of_the_tests(stack: str, python: str, variant: str) -> None:
    tried, image = locked(f"{stack}.txt", python), locked(f"{stack}-{variant}.txt", python)
    image["tensorflow"] = image.pop("tensorflow-cpu" if variant == "cpu" else "tensorflow")
    extra = {name for name in image if name not in tried}
    assert {name: image[name] for name in image.keys() - extra} == {name: tried[name] for name in image.keys() - extra}
    assert all(name.startswith("nvidia-") for name in extra) and bool(extra) == (variant == "gpu")
    assert not {"hypothesis", "mypy", "pytest", "ruff", "selenium"} & image.keys()
    assert {"tfx", "tfx-bsl", "tf-keras", "tensorflow-hub", "kfp", "plotly", "pydantic"} <= image.keys()


def test_tensorflow_without_code_for_gpus_is_tensorflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tensorflow_cpu-2.99.1.dist-info").mkdir()
    (tmp_path / "tensorflow_cpu-2.99.1.dist-info" / "METADATA").write_text("Name: tensorflow-cpu\nVersion: 2.99.1\n")
    assert version("tensorflow") != "2.99.1", "here it is tensorflow itself"
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    assert version("tensorflow") == "2.99.1"
    with pytest.raises(importlib.metadata.PackageNotFoundError):
        version("tfx")


def test_the_images_context_has_all_code_and_what_builds_it() -> None:
    context = {line[1:] for line in (PROJECT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert context == {*ROOMS, "hubline", "pyproject.toml", "LICENSE", "requirements/*.txt"}


@pytest.fixture
def docker(tmp_path: Path) -> Path:
    """Replaces docker's client: records its arguments and the secret, and responds as after a build."""
    stub = tmp_path / "docker"
    stub.write_text(
        f"""#!/bin/sh
echo "$*" >> {tmp_path}/calls
for each; do case $each in id=pip.conf,src=*) cat "${{each##*src=}}" > {tmp_path}/secret ;; esac; done
case $* in *Size*) echo 1640000000 ;; *RepoDigests*) cat {tmp_path}/digests 2>/dev/null ;; esac
exit 0
"""
    )
    stub.chmod(0o755)
    return stub


def make_image(docker: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(docker.parent), "DOCKER": str(docker), **variables}
    return subprocess.run([PROJECT / "scripts" / "image"], env=environment, capture_output=True, text=True)


def test_a_mirror_of_packages_is_a_secret_of_the_build(docker: Path) -> None:
    mirror = "https://user:password@mirror.example/simple"
    done = make_image(docker, NAME="r.example/h", STACK="tfx-1.21", VARIANT="gpu", PIP_INDEX_URL=mirror)
    assert done.returncode == 0, done.stderr
    calls = (docker.parent / "calls").read_text()
    assert "--tag r.example/h:tfx-1.21-gpu" in calls and "STACK=tfx-1.21" in calls and "BASE=python:3.13" in calls
    assert mirror in (docker.parent / "secret").read_text()
    assert "mirror" not in calls + done.stdout


def test_an_image_is_named_by_its_digest_once_a_registry_gave_it_one(docker: Path) -> None:
    assert "docker push r.example/h:tfx-1.16-cpu" in make_image(docker, NAME="r.example/h", STACK="tfx-1.16").stdout
    digest = "r.example/h@sha256:" + "0" * 64
    (docker.parent / "digests").write_text(f"elsewhere.example/h@sha256:{'1' * 64}\n{digest}\n")
    done = make_image(docker, NAME="r.example/h", STACK="tfx-1.16")
    assert digest in done.stdout and "docker push" not in done.stdout and "elsewhere" not in done.stdout


def test_an_image_of_no_lock_is_refused(docker: Path) -> None:
    done = make_image(docker, VARIANT="tpu")
    assert done.returncode == 2 and "cpu or gpu" in done.stderr
    assert not (docker.parent / "calls").exists()


def test_each_integration_file_and_the_digits_example_are_tried_on_both_stacks() -> None:
    tests = Path(__file__).parents[1]
    missing = [file.name for file in tests.glob("integration/test_*.py") if "mark.both_stacks" not in file.read_text()]
    assert not missing, "mark a test of each as both_stacks"
    runs = "".join(file.read_text() for file in tests.glob("e2e/test_*.py"))
    assert "@pytest.mark.both_stacks\ndef test_the_digits_example" in runs
