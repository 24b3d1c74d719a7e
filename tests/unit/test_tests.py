"""Rules for the tests themselves."""

import ast
import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
FILES = sorted(TESTS.rglob("*.py"))
PRIVATE = re.compile(r"_[A-Za-z]\w*")
KNOWN = {
    "unit/test_ingest.py": {"_look"},
}
"""Private names that tests still use; this list may only get shorter."""


def test_no_file_of_tests_has_over_500_lines() -> None:
    lengths = {str(path.relative_to(TESTS)): len(path.read_text().splitlines()) for path in FILES}
    assert not {name: length for name, length in lengths.items() if length > 500}, "split them by topic"


def private_names(path: Path) -> set[str]:
    """Names with a leading underscore that a test imports, reads or replaces in a module or class of the product."""
    tree = ast.parse(path.read_text())
    ours, found = set(), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("hubline"):
            ours |= {alias.asname or alias.name for alias in node.names}
            found |= {alias.name for alias in node.names if alias.name.startswith("_")}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in ours:
            found |= {node.attr} if PRIVATE.fullmatch(node.attr) else set()
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in ("setattr", "object")
        ):
            found |= {
                name
                for argument in node.args
                if isinstance(argument, ast.Constant) and isinstance(argument.value, str)
                if not argument.value.startswith(("kfp.", "os."))  # of others, which no setting replaces
                if PRIVATE.fullmatch(name := argument.value.rpartition(".")[2])
            }
    return found


@pytest.mark.slow
def test_tests_use_public_names_of_the_product() -> None:
    found = {str(path.relative_to(TESTS)): names for path in FILES if (names := private_names(path))}
    assert found == KNOWN, "make it a parameter or a public name"


@pytest.mark.slow
def test_what_several_files_of_tests_use_is_in_support() -> None:
    found = {
        str(path.relative_to(TESTS)): node.module
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and re.match(r"tests\.(unit|integration|e2e)\b", node.module or "")
    }
    assert not found, "move it to tests/support"
