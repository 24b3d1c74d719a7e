"""What pages quote exists: messages in the code, kinds of features in the types."""

import ast
import re
from pathlib import Path
from typing import get_args

from hubline.preprocessing.config import Feature
from hubline.serving.metrics import Metrics

ROOT = Path(__file__).parents[2]
ROOMS = ("artifacts", "components", "core", "pipeline", "preprocessing", "report", "serving", "trainer")


def messages() -> str:
    """All texts of the code, one a line, with … for what is filled in."""
    found = []
    for room in ROOMS:
        for path in (ROOT / room).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.JoinedStr):
                    found.append("".join(v.value if isinstance(v, ast.Constant) else "…" for v in node.values))
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    found.append(node.value)
    return "\n".join(found)


def rows(page: str) -> list[str]:
    """The first cells of the page's tables."""
    return re.findall(r"^\| (.*?) \|", (ROOT / "docs" / page).read_text(), re.MULTILINE)


def test_each_message_of_the_page_on_troubleshooting_is_in_the_code() -> None:
    quoted = [row.strip("`") for row in rows("troubleshooting.md") if row.startswith("`")]
    code = messages()
    assert len(quoted) >= 10
    assert not [message for message in quoted if message not in code]
    assert "the split '…' is never empty" not in code


def test_each_kind_in_the_table_of_feature_columns_is_a_kind_of_feature() -> None:
    named = set(re.findall(r"kind: (\w+)", (ROOT / "docs" / "migrating-estimators.md").read_text()))
    kinds = {kind for each in get_args(get_args(Feature)[0]) for kind in get_args(each.model_fields["kind"].annotation)}
    labels = {"binary", "class", "regression"}
    assert {"numeric", "bucketized", "categorical", "crossed", "sequence"} <= named
    assert named - labels <= kinds


def test_each_figure_of_the_page_on_monitoring_is_one_of_the_server() -> None:
    page = (ROOT / "docs" / "monitoring.md").read_text()
    given = Metrics().text().decode()
    named = set(re.findall(r"hubline_\w+", page))
    assert len(named) >= 6
    assert all(f"# TYPE {name.removesuffix('_total').removesuffix('_bucket')}" in given for name in named)


def test_each_fault_of_the_table_has_a_test_that_exists() -> None:
    lines = (ROOT / "docs" / "faults.md").read_text().splitlines()
    faults = [line for line in lines if line.startswith("| ") and not line.startswith("| fault |")]
    named = [re.findall(r"`(tests/\S+?\.py)::(test_\w+)`", line) for line in faults]
    assert len(faults) >= 25 and all(named)
    for path, name in {each for found in named for each in found}:
        assert f"def {name}(" in (ROOT / path).read_text(), f"{path} has no {name}"
    quoted = [row.rsplit(" | ", 2)[1] for row in faults]
    assert all(quoted), "a fault without a message"


def test_pictures_are_small_and_shown() -> None:
    pictures = list((ROOT / "docs" / "pictures").iterdir())
    shown = "".join(path.read_text() for path in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
    assert pictures and all(f"pictures/{path.name})" in shown for path in pictures)
    assert all(path.stat().st_size < 150_000 for path in pictures)
