"""The wheel: what `pip install .` installs and Beam workers are handed."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

PROJECT = Path(__file__).parents[2]
ROOMS = ("pipeline", "components", "preprocessing", "trainer")


def test_the_wheel_holds_every_module_and_the_command(tmp_path: Path) -> None:
    for name in ("setup.py", "pyproject.toml", "README.md"):
        shutil.copy(PROJECT / name, tmp_path)
    for room in ROOMS:
        shutil.copytree(PROJECT / room, tmp_path / room, ignore=shutil.ignore_patterns("__pycache__"))
    build = "from setuptools import build_meta; print(build_meta.build_wheel('dist'))"
    built = subprocess.run([sys.executable, "-c", build], cwd=tmp_path, capture_output=True, text=True, check=True)
    with zipfile.ZipFile(tmp_path / "dist" / built.stdout.splitlines()[-1]) as wheel:
        names = set(wheel.namelist())
        (entry_points,) = (name for name in names if name.endswith("entry_points.txt"))
        assert "hubline = pipeline.cli:main" in wheel.read(entry_points).decode()
    modules = {str(path.relative_to(PROJECT)) for room in ROOMS for path in (PROJECT / room).rglob("*.py")}
    page = {f"components/report/page.{part}" for part in ("html.j2", "css", "js")}
    assert modules | {"pipeline/schema.json", "pipeline/init/pipeline.yaml.j2"} | page <= names


def test_the_locks_name_no_address_and_hash_every_package() -> None:
    for lock in (PROJECT / "requirements").glob("*.txt"):
        text = lock.read_text()
        assert "://" not in text, lock
        pinned = [line for line in text.splitlines() if "==" in line and not line.lstrip().startswith("#")]
        if "override" not in lock.name:
            assert pinned and all(line.endswith("\\") for line in pinned), lock
