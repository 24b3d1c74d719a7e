"""The quickstart notebook: every cell runs, and its output is correct."""

import os
import shutil
from pathlib import Path

import nbformat
import pytest
from ipykernel.kernelspec import write_kernel_spec
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell

from hubline.pipeline.result import Result
from tests.support.project import PROJECT

pytestmark = pytest.mark.slow

FILES = ("notebooks/quickstart.ipynb", "examples/digits/make_data.py", "examples/digits/pipeline.yaml")
ASK = """\
logged = "INFO" in Path(first.log).read_text()
for value in (first.model_dump_json(), second.model_dump_json(), predicted, logged):
    print(value)
"""


def execute(notebook: nbformat.NotebookNode, folder: Path, scratch: Path) -> None:
    """Runs every cell with the current Python in `folder`; raises a cell's exception."""
    write_kernel_spec(scratch / "python3")
    manager = AsyncKernelManager(kernel_spec_manager=KernelSpecManager(kernel_dirs=[str(scratch)]))
    # Under pytest, a kernel would not capture output written to its file descriptors.
    environment = {key: value for key, value in os.environ.items() if key != "PYTEST_CURRENT_TEST"}
    environment |= {"PYTHONPATH": str(PROJECT), "TMPDIR": str(scratch)}
    client = NotebookClient(notebook, km=manager, timeout=600, resources={"metadata": {"path": str(folder)}})
    client.execute(env=environment, cleanup_kc=True)


def text_of(cell: nbformat.NotebookNode) -> str:
    """What a cell printed, and the text form of its outputs."""
    return "".join(output.get("text") or output.get("data", {}).get("text/plain", "") for output in cell.outputs)


def test_the_quickstart_runs_and_what_it_shows_is_so(tmp_path: Path) -> None:
    project, scratch = tmp_path / "project", tmp_path / "scratch"
    scratch.mkdir()
    for name in FILES:
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PROJECT / name, project / name)
    before = set(project.rglob("*"))
    notebook = nbformat.read(project / FILES[0], as_version=4)
    notebook.cells.append(new_code_cell(ASK))
    execute(notebook, project / "notebooks", scratch)

    *results, predicted, logged = text_of(notebook.cells[-1]).splitlines()
    first, second = map(Result.model_validate_json, results)
    assert first.blessed and first.newly_pushed and first.metrics["accuracy"] >= 0.95
    assert not any(step.cached for step in first.steps)
    assert [step.id for step in second.steps if not step.cached] == ["Trainer", "Evaluator", "ServingCheck", "Pusher"]
    assert second.decision is not None and second.decision.compared_with == first.pushed_model
    assert predicted == "four"  # class of the first sample

    # The output of a run has only Hubline's own lines, without terminal codes; those of libraries are in the log.
    runs = [text_of(cell) for cell in notebook.cells if "= run(" in cell.source]
    assert len(runs) == 2 and all("Trainer done in" in text for text in runs) and logged == "True"
    assert not any(strange in text for text in runs for strange in ("INFO", "Warning", "\x1b"))
    pictures = [
        output.data["text/html"].count("data:image/png")
        for cell in notebook.cells
        if cell.source.rstrip().endswith(")") and "show(\n" in cell.source
        for output in cell.outputs
    ]
    assert first.decision is not None
    assert pictures == [10, min(8, round(first.decision.slices[0].examples * (1 - first.metrics["accuracy"])))]

    made = {path.relative_to(project).parts[:3] for path in set(project.rglob("*")) - before}
    assert made == {("examples", "digits", "data"), ("examples", "digits", "modules")}, "only what git ignores"
