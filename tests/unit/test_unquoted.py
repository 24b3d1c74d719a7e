"""Unquoted texts that YAML reads as other types are found before a run, with their line."""

from pathlib import Path

import pytest

from hubline.pipeline.diagnostics import PipelineFileError
from hubline.pipeline.load import load

FILE = """\
name: codes
data: {examples: data/*.gz}
features:
  code: {kind: categorical, vocabulary: %s}
label: {from: y, kind: class, classes: %s}
training: {epochs: 1}
serving: {destination: gs://bucket/serving}
"""


def diagnostics(folder: Path, vocabulary: str = "[a]", classes: str = "[a, b]") -> list[tuple[int, str, str]]:
    path = folder / "pipeline.yaml"
    path.write_text(FILE % (vocabulary, classes))
    with pytest.raises(PipelineFileError) as caught:
        load(path)
    return [(diagnostic.line, diagnostic.key, diagnostic.message) for diagnostic in caught.value.diagnostics]


@pytest.mark.parametrize(
    ("text", "taken_for"),
    [
        ("01", "1"), ("1.10", "1.1"), ("1e3", "1000.0"), ("0x1F", "31"), (".5", "0.5"), ("+7", "7"),
        ("true", "a truth value"),
        ("null", "nothing"), ("~", "nothing"), ("2024-05-31", "a date"), ("2024-05-31T04:05:06", "a time"),
    ],
)  # fmt: skip
def test_a_text_that_yaml_takes_for_something_else_is_to_be_quoted(tmp_path: Path, text: str, taken_for: str) -> None:
    says = f"YAML reads {text} as {taken_for}, and this is a text; quote it: '{text}'"
    assert diagnostics(tmp_path, f"[a, {text}]") == [(4, "features.code.vocabulary[1]", says)]
    assert diagnostics(tmp_path, classes=f"[{text}, a]") == [(5, "label.classes[0]", says)]
    path = tmp_path / "pipeline.yaml"
    path.write_text(FILE % (f"['{text}']", f'["{text}", b]'))
    file, _ = load(path)
    assert file.features["code"].vocabulary == (text,) and file.label.classes == (text, "b")


def test_all_of_them_are_named(tmp_path: Path) -> None:
    found = diagnostics(tmp_path, "[01, 02, 10]", "[1.10, 1e3]")
    assert [(line, key) for line, key, _ in found] == [
        (4, "features.code.vocabulary[0]"), (4, "features.code.vocabulary[1]"),
        (5, "label.classes[0]"), (5, "label.classes[1]"),
    ]  # fmt: skip


def test_numbers_that_are_written_as_they_are_read_need_no_quotes(tmp_path: Path) -> None:
    path = tmp_path / "pipeline.yaml"
    path.write_text(FILE % ("[1, 2, 10, -3]", "[1.0, 2.5, yes, no]"))
    file, _ = load(path)
    assert file.features["code"].vocabulary == ("1", "2", "10", "-3")
    assert file.label.classes == ("1.0", "2.5", "yes", "no")


def test_a_comparison_that_begins_with_a_quote_is_quoted_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "pipeline.yaml"
    label = """{kind: binary, where: '"fare amount" > 3'}"""
    path.write_text((FILE % ("[a]", "[a, b]")).replace("{from: y, kind: class, classes: [a, b]}", label))
    assert load(path)[0].label.columns == ("fare amount",)
    path.write_text(path.read_text().replace("'", ""))
    with pytest.raises(PipelineFileError, match=r":5: not YAML: .*; put the whole comparison in quotes: "):
        load(path)
