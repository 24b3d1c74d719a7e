"""The subpackages: which may import which, and what the lowest may not import."""

import ast
import graphlib
from pathlib import Path

import pytest

import hubline
from tests.support.rooms import ROOMS

ROOT = Path(hubline.__file__).parent


def modules() -> dict[str, Path]:
    """Source file of each module, by name."""
    names = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for room in ROOMS for path in files(room)}
    return {name.removesuffix(".__init__"): path for name, path in names.items()}


def files(room: str) -> list[Path]:
    return sorted((ROOT / room).rglob("*.py"))


def imports(path: Path) -> set[str]:
    """Modules of ours that a module imports, including in functions; imports for type checkers only don't count."""
    known = modules()
    tree = ast.parse(path.read_text())
    typing = {
        node
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for node in ast.walk(block)
    }
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("hubline.") and node not in typing:
            module = str(node.module).removeprefix("hubline.")
            found |= {name if (name := f"{module}.{alias.name}") in known else module for alias in node.names}
    return found


def test_every_link_is_a_room_at_the_root() -> None:
    links = {link.name for link in ROOT.iterdir() if link.is_symlink()}
    assert links == set(ROOMS)
    assert all((ROOT / room).resolve() == ROOT.parent / room for room in ROOMS)


@pytest.mark.slow
def test_rooms_import_downwards_only() -> None:
    upwards = [
        f"{name} imports {imported}"
        for name, path in modules().items()
        for imported in imports(path)
        if ROOMS.index(imported.partition(".")[0]) > ROOMS.index(name.partition(".")[0])
    ]
    assert not upwards


@pytest.mark.slow
def test_no_modules_import_each_other() -> None:
    graph = {name: imports(path) - {name} for name, path in modules().items()}
    list(graphlib.TopologicalSorter(graph).static_order())  # raises CycleError with the modules of a cycle


@pytest.mark.slow
def test_no_two_steps_import_each_other() -> None:
    def folder(name: str) -> str:
        return ".".join(name.split(".")[:2])

    graph: dict[str, set[str]] = {}
    for name, path in modules().items():
        graph.setdefault(folder(name), set()).update(
            folder(imported) for imported in imports(path) if imported.startswith("components.")
        )
    steps = {name: found - {name} for name, found in graph.items() if name.startswith("components.")}
    list(graphlib.TopologicalSorter(steps).static_order())


@pytest.mark.slow
def test_core_imports_neither_tfx_nor_beam_and_tensorflow_only_inside_functions() -> None:
    at_the_top, anywhere = set(), set()
    for path in files("core"):
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
                tops = {(path.name, name.partition(".")[0]) for name in names}
                anywhere |= tops
                at_the_top |= tops if node in tree.body else set()
    assert not [found for found in anywhere if found[1] in {"tfx", "apache_beam", "kfp"}]
    assert not [found for found in at_the_top if found[1] in {"tensorflow", "tf_keras", "tensorflow_transform"}]
