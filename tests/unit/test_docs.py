"""Snippets of pipeline files in the documentation contain only existing keys."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from hubline.pipeline.config import InferFile, PipelineFile

ROOT = Path(__file__).parents[2]
_FENCED = re.compile(r"^```yaml\n(.*?)^```", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`([a-z_]+:\s[^`]*\{[^`]*\})`")
_NEW_KINDS = {"new-feature-kind.md": "kind: cyclic", "new-label-kind.md": "kind: count"}
"""Kinds that the pages show how to add; test_new_kinds.py tests those examples."""
_UNKNOWN = {"extra_forbidden", "union_tag_invalid", "union_tag_not_found"}
SECTIONS = PipelineFile.model_fields.keys() | InferFile.model_fields.keys()


def snippets() -> Iterator[tuple[str, dict]]:
    """Every snippet of a pipeline file, complete or not, with its location."""
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        text = path.read_text()
        for pattern in (_FENCED, _INLINE):
            for found in pattern.finditer(text):
                if path.name in _NEW_KINDS and _NEW_KINDS[path.name] in found[1]:
                    continue
                place = f"{path.name}:{text.count(chr(10), 0, found.start()) + 1}"
                for read in _documents(found[1], place):
                    if isinstance(read, dict) and read.keys() <= SECTIONS:
                        yield place, read


def _documents(text: str, place: str) -> list:
    try:
        return list(YAML(typ="safe").load_all(text))
    except YAMLError as error:
        raise AssertionError(f"{place}: {error}") from error


def unknown(snippet: dict) -> list[str]:
    """Keys and kinds that don't exist."""
    found = [str(each["loc"]) for each in _errors(PipelineFile, snippet) if each["type"] in _UNKNOWN]
    of_infer = [each for each in _errors(InferFile, snippet) if each["loc"] and each["loc"][0] in snippet]
    return found if of_infer else []


def _errors(kind: type[PipelineFile | InferFile], snippet: dict) -> list:
    try:
        kind.model_validate(snippet)
    except ValidationError as error:
        return error.errors()
    return []


FOUND = list(snippets())


@pytest.mark.parametrize("snippet", [each for _, each in FOUND], ids=[place for place, _ in FOUND])
def test_a_piece_of_a_pipeline_file_has_only_keys_that_there_are(snippet: dict) -> None:
    assert not unknown(snippet)


def test_pieces_are_found_and_unknown_keys_in_them() -> None:
    assert len(FOUND) > 20
    assert unknown({"backbones": {"mine": {"architecture": "nets.net"}}}) == ["('backbones', 'mine')"]
    assert unknown({"training": {"epoch": 3}}) == ["('training', 'epoch')"]
