"""YAML's own errors in pipeline files: each names its likely cause, and what would be right."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hubline.core.errors import UserError
from hubline.pipeline.diagnostics import PipelineFileError
from hubline.pipeline.load import load
from tests.support.pipeline_files import TRIPS, write


def lines(folder: Path, text: str) -> list[str]:
    """The errors of a file, as the terminal shows them, without the folder."""
    path = write(folder, text)
    try:
        load(path)
    except PipelineFileError as error:
        return str(error).replace(f"{path}", path.name).splitlines()
    return []


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "  batch_size: 16",
            "\tbatch_size: 16",
            "19: not YAML: column 1: a tab indents this line; YAML takes spaces only",
        ),
        ("  epochs: 4", "  epochs:4", "18: not YAML: column 9: a space is missing after the colon; write epochs: 4"),
        ("name: trips", "name:trips", "1: not YAML: column 5: a space is missing after the colon; write name: trips"),
        (
            "{kind: numeric, normalize: z_score}",
            "{kind:numeric, normalize: z_score}",
            "6: not YAML: column 10: a space is missing after the colon; write kind: numeric",
        ),
        (
            "  epochs: 4",
            "  epochs = 4",
            "18: not YAML: column 3: a colon and a space separate a key from its value; write epochs: 4",
        ),
        ("  epochs: 4", "  epochs 4", "18: not YAML: column 3: a colon is missing; write epochs: 4"),
        ("training:", "training", "17: not YAML: column 1: a colon is missing; write training:"),
        (
            "data/*.gz",
            "*.gz",
            "3: not YAML: column 13: '*' begins an alias in YAML; put the text in quotes: '*.gz'",
        ),
        (
            "data/*.gz",
            "[ab]/*.gz",
            "3: not YAML: column 13: '[' begins a list in YAML; put the text in quotes: '[ab]/*.gz'",
        ),
        (
            "data/*.gz",
            "{YYYY}-{MM}-{DD}/*",
            "3: not YAML: column 13: '{' begins a mapping in YAML; put the text in quotes: '{YYYY}-{MM}-{DD}/*'",
        ),
        ("from: tip", "from: @tip", "13: not YAML: column 9: '@' is reserved in YAML; put the text in quotes: '@tip'"),
        ("from: tip", "from: %tip", "13: not YAML: column 9: '%' is reserved in YAML; put the text in quotes: '%tip'"),
        (
            "from: tip",
            "from: tip: paid",
            "13: not YAML: column 9: ': ' separates a key from its value in YAML; put the text in quotes: 'tip: paid'",
        ),
        (
            "data/*.gz",
            "data/*.gz\n  where: 'Flash' == company",
            "4: not YAML: column 10: a text that begins with a ' ends at the next one; put the whole comparison in "
            "quotes: \"'Flash' == company\"",
        ),
        (
            "  batch_size: 16",
            "   batch_size: 16",
            "19: not YAML: column 4: indented by 3 spaces, and the line above, by 2 spaces, already has a value",
        ),
        (
            "  batch_size: 16",
            " batch_size: 16",
            "19: not YAML: column 2: indented by 1 space, which fits no line above: those are indented by 0 or 2",
        ),
        (
            "  epochs: 4",
            "  epochs: 4\n  epochs: 5",
            "19: not YAML: column 3: duplicate key: 'epochs' is already in line 18; remove one of them",
        ),
        ("[no, yes]", '["no, yes]', '14: not YAML: column 13: the quote " that begins here is not closed'),
        ("[no, yes]", "[no, yes", "14: not YAML: column 12: the [ that begins here is not closed; add ]"),
        ("[no, yes]", "[no, yes]]", "14: not YAML: column 21: this ] closes no [; remove it"),
        ("dropout: 0.1}", "dropout: 0.1", "16: not YAML: column 9: the { that begins here is not closed; add }"),
        (
            "[no, yes]",
            "- no",
            "14: not YAML: column 12: a list with dashes begins on a line of its own; or write [a, b]",
        ),
        (
            "name: trips",
            "name: trips\n---",
            "2: not YAML: column 1: a second document begins here; a pipeline file is one document, without ---",
        ),
        (
            "name: trips",
            "name:\u00a0trips",
            "1: not YAML: column 6: a no-break space (U+00A0), which looks like a space; type a space instead",
        ),
        (
            "data/*.gz",
            '"data\\*.gz"',
            "3: not YAML: column 13: a backslash in double quotes begins an escape; use single quotes, or write each "
            "backslash twice",
        ),
    ],
)
def test_the_likely_cause_is_named_at_its_line_and_column(tmp_path: Path, old: str, new: str, expected: str) -> None:
    assert old in TRIPS
    assert lines(tmp_path, TRIPS.replace(old, new, 1)) == [f"pipeline.yaml:{expected}"]


def test_a_line_whose_meaning_is_clear_hides_no_other_error(tmp_path: Path) -> None:
    text = TRIPS.replace("  epochs: 4", "  epochs:4").replace("data/*.gz", "*.gz").replace("[no, yes]", "[no, no]")
    assert lines(tmp_path, text.replace("batch_size: 16", "batch_size: 0\n  seed: 1\n  seed: 2")) == [
        "pipeline.yaml:3: not YAML: column 13: '*' begins an alias in YAML; put the text in quotes: '*.gz'",
        "pipeline.yaml:14: label.classes: classes must be unique; repeated: no",
        "pipeline.yaml:18: not YAML: column 9: a space is missing after the colon; write epochs: 4",
        "pipeline.yaml:19: training.batch_size: input should be greater than or equal to 1; got 0 (examples per step)",
        "pipeline.yaml:21: not YAML: column 3: duplicate key: 'seed' is already in line 20; remove one of them",
    ]


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_files_of_other_editors_read_alike(tmp_path: Path, ends: str, encoding: str) -> None:
    path = write(tmp_path, TRIPS)
    expected = load(path)[0]
    path.write_bytes(TRIPS.replace("\n", ends).encode(encoding))
    assert load(path)[0] == expected


def test_words_and_numbers_are_read_as_they_are_meant(tmp_path: Path) -> None:
    text = TRIPS.replace("serving: {", "serving: {push: off, ").replace("0.002", "1e-3")
    file, _ = load(write(tmp_path, text))
    assert file.label.classes == ("no", "yes")
    assert file.serving.push is False
    assert file.training.optimizer.learning_rate == 0.001


_PLACES = st.lists(st.integers(0, len(TRIPS) - 1), min_size=1, max_size=3)


@given(_PLACES, st.text("\t :[]{}'\"*&!@%|>,-#=\n\\?", max_size=2))
@settings(max_examples=40, deadline=None, derandomize=True)
def test_no_text_is_a_fault_of_ours(tmp_path_factory, places: list[int], put: str) -> None:
    text = TRIPS
    for place in places:
        text = text[:place] + put + text[place + 1 :]
    path = write(tmp_path_factory.mktemp("any"), text)
    try:
        load(path)
    except UserError as error:
        assert str(error).startswith(f"{path}:")
