"""The committed notebooks."""

from pathlib import Path

import nbformat
import pytest

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
EACH = pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)


@EACH
def test_it_is_a_valid_notebook_for_any_python_kernel(path: Path) -> None:
    notebook = nbformat.read(path, as_version=nbformat.NO_CONVERT)
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "python3"


@EACH
def test_it_holds_nothing_of_a_session(path: Path) -> None:
    notebook = nbformat.read(path, as_version=nbformat.NO_CONVERT)
    for cell in notebook.cells:
        assert not cell.metadata, cell.source
        if cell.cell_type == "code":
            assert not cell.outputs and cell.execution_count is None, f"clear the outputs of: {cell.source}"


@pytest.mark.parametrize("start", [NOTEBOOKS, NOTEBOOKS.parent], ids=["notebooks", "root"])
def test_the_quickstart_finds_the_example(start: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notebook = nbformat.read(NOTEBOOKS / "quickstart.ipynb", as_version=4)
    (cell,) = (cell for cell in notebook.cells if cell.source.startswith("root ="))
    monkeypatch.chdir(start)
    names = {"Path": Path}
    exec(cell.source, names)
    assert names["example"] == NOTEBOOKS.parent / "examples" / "digits"
