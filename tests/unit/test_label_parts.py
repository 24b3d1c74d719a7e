"""Each kind of label has a part in every room, and nothing else checks which kind a label is."""

import ast
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest

import hubline
from hubline.preprocessing.config import Label
from hubline.preprocessing.labels.label import LabelKind
from hubline.preprocessing.labels.parts import LabelParts
from hubline.report.labels.predictions import ClassPredictions, MultilabelPredictions, ValuePredictions
from tests.support.label_parts import PARTS
from tests.support.rooms import ROOMS

ROOT = Path(hubline.__file__).parent
NOT_OF_ONE_CLASS = MultilabelPredictions, ValuePredictions
SECTIONS: tuple[type[LabelKind], ...] = get_args(get_args(Label)[0])
KINDS = {get_args(section.model_fields["kind"].annotation)[0] for section in SECTIONS}


def lacking(kinds: set[str], parts: tuple[LabelParts, ...]) -> dict[str, list[str]]:
    """Names of missing parts by kind, and under `unknown` the parts of kinds that don't exist."""
    missing = {kind: [part.name for part in parts if kind not in part.by_kind] for kind in sorted(kinds)}
    missing["unknown"] = [f"{part.name}: {kind}" for part in parts for kind in part.by_kind.keys() - kinds]
    return {kind: names for kind, names in missing.items() if names}


def trees() -> Iterator[tuple[str, ast.Module]]:
    for path in (path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))):
        yield str(path.relative_to(ROOT)), ast.parse(path.read_text())


def test_every_kind_of_label_has_every_part() -> None:
    assert lacking(KINDS, PARTS) == {}


@pytest.mark.parametrize("without", PARTS, ids=lambda part: part.name)
def test_a_new_kind_that_lacks_a_part_is_told_its_name(without: LabelParts) -> None:
    pretend = tuple(
        part if part is without else replace(part, by_kind={**part.by_kind, "ranking": part.by_kind["class"]})
        for part in PARTS
    )
    assert lacking(KINDS | {"ranking"}, pretend) == {"ranking": [without.name]}
    with pytest.raises(NotImplementedError, match="label kind 'ranking' has no part '") as raised:
        without.of("ranking")
    assert without.name in str(raised.value)
    (page,) = re.findall(r"docs/\S+\.md", str(raised.value))
    assert (ROOT.parent / page).is_file()


@pytest.mark.slow
def test_every_table_of_parts_is_listed_here() -> None:
    made = [
        node.args[0].value
        for _, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("LabelParts")
        if isinstance(node.args[0], ast.Constant)
    ]
    assert sorted(made) == sorted(part.name for part in PARTS)


def test_parts_stand_where_their_names_say() -> None:
    for part in PARTS:
        place = part.name.rpartition(" in ")[2]
        assert (ROOT / place).exists(), part.name


@pytest.mark.slow
def test_nothing_asks_isinstance_of_a_label_or_of_its_predictions() -> None:
    classes = {section.__name__ for section in SECTIONS} | {"LabelKind", "ClassesKind"}
    classes |= {kind.__name__ for kind in (ClassPredictions, *ClassPredictions.__subclasses__(), *NOT_OF_ONE_CLASS)}
    asked = [
        f"{path}:{node.lineno}: {ast.unparse(node)}"
        for path, tree in trees()
        for node in ast.walk(tree)
        if (isinstance(node, ast.Call) and ast.unparse(node.func) in ("isinstance", "issubclass"))
        or isinstance(node, ast.MatchClass)
        if classes & {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
    ]
    assert asked == []


@pytest.mark.slow
def test_nothing_compares_the_kind_of_a_label() -> None:
    found = []
    for path, tree in trees():
        tables = {id(arg) for node in ast.walk(tree) if isinstance(node, ast.Call) for arg in node.args}
        for node in ast.walk(tree):
            words = {each.value for each in ast.walk(node) if isinstance(each, ast.Constant)} & KINDS
            compares = isinstance(node, ast.Compare) and ".kind" in ast.unparse(node) and words
            keys = {key.value for key in getattr(node, "keys", ()) if isinstance(key, ast.Constant)}
            if compares or (len(keys & KINDS) > 1 and id(node) not in tables):
                found.append(f"{path}:{node.lineno}: {ast.unparse(node)[:80]}")
    assert found == []
