"""Compiles pipeline files, and runs the commands of their pods in this process."""

from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from typer.testing import CliRunner

from hubline.pipeline.cli import app
from hubline.pipeline.kubeflow import entrypoint, fused_steps, notify, pin

IMAGE = "registry.example/hubline@sha256:" + "0" * 64


MODULES = {module.__name__: module.main for module in (pin, entrypoint, fused_steps, notify)}


def in_this_process(command: list[str], arguments: list[str]) -> int:
    assert command[:2] == ["python", "-m"]
    return MODULES[command[2]](arguments)


def compiled(path: Path) -> dict[str, Any]:
    package = path.with_name("package.yaml")
    result = CliRunner().invoke(app, ["compile", str(path), "-o", str(package), "--image", IMAGE])
    assert result.exit_code == 0, result.output
    assert "*id" not in package.read_text(), "it is there to be read, too"
    spec, _ = YAML(typ="safe", pure=True).load_all(package.read_text())
    return spec
