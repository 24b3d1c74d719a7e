"""Spans of data: which files `pin` selects, which changes it notices, and messages about errors."""

import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tfx.components.example_gen import utils
from tfx.proto import example_gen_pb2

from hubline.artifacts.pins import PinnedFiles
from hubline.components.config.data import Data
from hubline.components.config.splits import HashSplit, PatternSplit
from hubline.components.pin.snapshot import pin_files
from hubline.core import storage
from hubline.core.config_base import escape, has_wildcards, unescape
from hubline.core.errors import UserError
from hubline.core.spans import SpanPattern, to_date
from hubline.pipeline.diagnostics import PipelineFileError
from hubline.pipeline.load import load
from hubline.pipeline.preflight import check
from tests.support import example_data
from tests.support.project import PIPELINE, make_project


def write(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


def pinned(folder: Path, pattern: str, window: int | None = None) -> list[tuple[str, int | None]]:
    """The selected files, relative to a folder, with their spans."""
    files = pin_files(Data(examples=f"{folder}/{pattern}", window=window))
    return [(file.path[len(str(folder)) + 1 :], file.span) for file in files.by_split["all"]]


def spans(folder: Path, pattern: str, window: int | None = None) -> tuple[int, ...] | None:
    return pin_files(Data(examples=f"{folder}/{pattern}", window=window)).spans


def test_spans_are_numbers_and_the_window_counts_the_newest(tmp_path: Path) -> None:
    write(tmp_path, "span-9/a", "span-10/b", "span-10/a", "span-2/a")
    every = [("span-2/a", 2), ("span-9/a", 9), ("span-10/a", 10), ("span-10/b", 10)]
    assert pinned(tmp_path, "span-{SPAN}/*") == every
    assert pinned(tmp_path, "span-{SPAN}/*", window=1) == every[2:]
    assert pinned(tmp_path, "span-{SPAN}/*", window=2) == every[1:]
    assert pinned(tmp_path, "span-{SPAN}/*", window=9) == every


def test_dates_are_days_since_1970_and_what_is_no_date_is_ignored(tmp_path: Path) -> None:
    write(tmp_path, *(f"{day}/a" for day in ("2024-02-29", "2024-13-40", "2023-02-29", "1970-01-02", "2024-2-1", "x")))
    assert pinned(tmp_path, "{YYYY}-{MM}-{DD}/*") == [("1970-01-02/a", 1), ("2024-02-29/a", 19782)]
    write(tmp_path, "202402/29.gz", "202402/30.gz", "202402/290.gz")
    assert pinned(tmp_path, "{YYYY}{MM}/{DD}.gz") == [("202402/29.gz", 19782)]


@given(st.dates())
def test_a_date_comes_back_from_its_span_and_is_tfx_s(day: date) -> None:
    place = SpanPattern("x{DD}/{YYYY}{MM}").place(f"x{day.day:02}/{day.year:04}{day.month:02}")
    assert place is not None and to_date(place.span) == day
    assert place.span == utils.date_to_span_number(day.year, day.month, day.day)


def test_the_newest_version_of_each_span_is_taken_by_number(tmp_path: Path) -> None:
    write(tmp_path, "1/v2/old", "1/v10/a", "1/v10/b", "2/v1/a", "3/loose", "3/vx/a", "3/v/a", "4/v7/_SUCCESS")
    (tmp_path / "2" / "v2").mkdir()  # still empty, before its files arrive
    taken = [("1/v10/a", 1), ("1/v10/b", 1), ("2/v1/a", 2)]
    assert pinned(tmp_path, "{SPAN}/v{VERSION}/*") == taken
    assert pinned(tmp_path, "{SPAN}/v{VERSION}") == taken
    assert pinned(tmp_path, "{SPAN}/v{VERSION}/*", window=1) == taken[2:]
    write(tmp_path, "2/v2/a")
    assert pinned(tmp_path, "{SPAN}/v{VERSION}/*") == [*taken[:2], ("2/v2/a", 2)]


def test_a_width_is_that_many_digits(tmp_path: Path) -> None:
    write(tmp_path, "s7", "s007", "s0007", "s012", "s1234", "sabc")
    assert pinned(tmp_path, "s{SPAN:3}") == [("s007", 7), ("s012", 12)]
    assert pinned(tmp_path, "s{SPAN}") == [("s0007", 7), ("s007", 7), ("s7", 7), ("s012", 12), ("s1234", 1234)]
    assert pinned(tmp_path, "s{SPAN:2}{VERSION:2}") == [("s0007", 0), ("s1234", 12)]


@pytest.mark.parametrize("pattern", ["day-{SPAN}", "day-{SPAN}/", "day-{SPAN}/*", "*y-{SPAN}/[a-z]", "**/day-{SPAN}/?"])
def test_a_folder_s_files_are_meant_and_no_folders_in_it(tmp_path: Path, pattern: str) -> None:
    write(tmp_path, "day-1/a", "day-1/sub/b", "day-2/.hidden", "day-2/_SUCCESS", "day-x/a")
    assert pinned(tmp_path, pattern) == [("day-1/a", 1)]
    assert pinned(tmp_path, pattern, window=1) == [("day-1/a", 1)]


def test_a_folder_below_the_span_and_files_named_by_span(tmp_path: Path) -> None:
    write(tmp_path, "1/images/a", "2/texts/a", "part-12-of-3", "part1-7-of-3")
    assert pinned(tmp_path, "{SPAN}/images") == [("1/images/a", 1)]
    assert pinned(tmp_path, "part*-{SPAN}-of-[!a-z]") == [("part1-7-of-3", 7), ("part-12-of-3", 12)]
    assert pinned(tmp_path, "part*{SPAN}-of-*") == [("part1-7-of-3", 7), ("part-12-of-3", 12)]


TREES = {
    "span-{SPAN}/*": ["span-1/a", "span-02/a", "span-11/a"],
    "span-{SPAN:2}/*": ["span-01/a", "span-09/a"],
    "{YYYY}-{MM}-{DD}/*": ["2024-02-28/a", "2024-02-29/a"],
    "{YYYY}/{MM}{DD}/v{VERSION}/*": ["2024/0228/v9/a", "2024/0229/v2/a", "2024/0229/v10/a"],
    "{SPAN}/{VERSION:2}/a?": ["3/01/a1", "3/02/a1", "2/09/a1"],
}


@pytest.mark.parametrize("pattern", TREES)
def test_the_newest_span_and_version_are_those_that_tfx_takes(tmp_path: Path, pattern: str) -> None:
    write(tmp_path, *TREES[pattern])
    split = example_gen_pb2.Input.Split(name="all", pattern=pattern)
    _, span, _ = utils.calculate_splits_fingerprint_span_and_version(str(tmp_path), [split])
    # TFX writes the selected span and version into the pattern.
    expected = [(str(path.relative_to(tmp_path)), span) for path in sorted(tmp_path.glob(split.pattern))]
    assert pinned(tmp_path, pattern, window=1) == expected


def test_each_change_of_a_span_in_the_window_is_seen_and_no_other(tmp_path: Path) -> None:
    write(tmp_path, *(f"{span}/v1/a" for span in (1, 2, 3)))

    def now() -> PinnedFiles:
        return pin_files(Data(examples=f"{tmp_path}/{{SPAN}}/v{{VERSION}}/*", window=3))

    before = now()
    assert before.spans == (1, 2, 3) and now() == before

    def changed() -> bool:
        nonlocal before
        before, earlier = now(), before
        return before != earlier

    (tmp_path / "1" / "v1" / "a").write_text("changed")
    assert changed() and before.spans == (1, 2, 3)
    write(tmp_path, "1/v2/a")
    assert changed() and [file.path[-6:] for file in before.by_split["all"]] == ["1/v2/a", "2/v1/a", "3/v1/a"]
    (tmp_path / "1" / "v1" / "a").write_text("an old version")
    assert not changed()
    write(tmp_path, "4/v1/a")
    assert changed() and before.spans == (2, 3, 4)
    (tmp_path / "1" / "v2" / "a").write_text("out of the window")
    assert not changed()
    (tmp_path / "3" / "v1" / "a").unlink()
    assert changed() and before.spans == (1, 2, 4)
    write(tmp_path, "notes.txt", "5/readme", "x/v1/a")
    assert not changed()


def test_without_spans_the_properties_are_as_ever(tmp_path: Path) -> None:
    files = pin_files(Data(examples=str(write(tmp_path, "a"))))
    assert files.spans is None and '"span"' not in files.to_property()
    write(tmp_path, "7/a")
    spanned = pin_files(Data(examples=f"{tmp_path}/{{SPAN}}"))
    assert PinnedFiles.model_validate_json(spanned.to_property()) == spanned
    assert '"span":7' in spanned.to_property()


def by_split(folder: Path, window: int | None = None, **patterns: str) -> dict[str, list[str]]:
    files = pin_files(Data(examples=str(folder), split=PatternSplit(**patterns), window=window))
    return {split: [file.path[len(str(folder)) + 1 :] for file in found] for split, found in files.by_split.items()}


IN_SPANS = {"train": "{SPAN}/train-*", "validation": "{SPAN}/val-*", "test": "{SPAN}/test-*"}


def test_splits_take_the_same_spans(tmp_path: Path) -> None:
    write(tmp_path, *(f"{span}/{split}-1" for span in (1, 2, 3) for split in ("train", "val", "test")))
    taken = by_split(tmp_path, window=2, **IN_SPANS)
    assert taken == {
        "train": ["2/train-1", "3/train-1"], "validation": ["2/val-1", "3/val-1"], "test": ["2/test-1", "3/test-1"]
    }  # fmt: skip
    in_folder = Data(
        examples=f"{tmp_path}/{{SPAN}}",
        split=PatternSplit(train="train-*", validation="val-*", test="test-*"),
        window=2,
    )
    assert pin_files(in_folder) == pin_files(Data(examples=str(tmp_path), split=PatternSplit(**IN_SPANS), window=2))


def test_a_span_that_a_split_lacks_is_an_error_in_the_window_only(tmp_path: Path) -> None:
    write(tmp_path, "1/train-1", "1/val-1", "2/train-1", "2/val-1", "2/test-1")
    assert by_split(tmp_path, window=1, **IN_SPANS)["test"] == ["2/test-1"]
    says = r"/1/test-\*: no files matched for data.split.test, but data.split.train has files of this span"
    with pytest.raises(UserError, match=says):
        by_split(tmp_path, **IN_SPANS)
    write(tmp_path, "3/test-1")
    with pytest.raises(UserError, match=r"/3/train-\*: no files matched for data.split.train, but data.split.test has"):
        by_split(tmp_path, window=1, **IN_SPANS)
    (tmp_path / "3" / "test-1").unlink()
    with pytest.raises(UserError, match=r"/\{SPAN\}/dev-\*: no files matched; expected paths such as .*/7/dev-\*$"):
        by_split(tmp_path, window=1, **{**IN_SPANS, "validation": "{SPAN}/dev-*"})


def test_a_new_version_is_one_of_every_split(tmp_path: Path) -> None:
    patterns = {split: pattern.replace("/", "/v{VERSION}/") for split, pattern in IN_SPANS.items()}
    write(tmp_path, *(f"1/v1/{split}-1" for split in ("train", "val", "test")), "1/v2/train-1")
    with pytest.raises(UserError, match=r"/1/v2/val-\*: no files matched for data.split.validation"):
        by_split(tmp_path, **patterns)
    write(tmp_path, "1/v2/val-1", "1/v2/test-1")
    assert by_split(tmp_path, **patterns)["test"] == ["1/v2/test-1"]


def test_a_split_without_spans_is_the_same_in_every_window(tmp_path: Path) -> None:
    write(tmp_path, "1/train-1", "2/train-1", "1/val-1", "2/val-1", "held-out/a")
    taken = by_split(tmp_path, window=1, **{**IN_SPANS, "test": "held-out"})
    assert taken == {"train": ["2/train-1"], "validation": ["2/val-1"], "test": ["held-out/a"]}


def test_spans_in_an_object_store(tmp_path: Path) -> None:
    for name in ("span-1/v1/a", "span-1/v2/a", "span-2/v1/a", "span-2/v1/_SUCCESS", "span-x/v1/a"):
        storage.write_text(f"memory://spans/{name}", name)
    for ending in ("", "/", "/*"):
        files = pin_files(Data(examples="memory://spans/span-{SPAN}/v{VERSION}" + ending)).by_split["all"]
        assert [(file.path, file.span) for file in files] == [
            ("memory://spans/span-1/v2/a", 1), ("memory://spans/span-2/v1/a", 2)
        ]  # fmt: skip


@pytest.mark.parametrize(
    ("pattern", "says"),
    [
        ("{SPAN}/{SPAN}", "{SPAN} stands there twice"),
        ("{SPAN}/{YYYY}-{MM}-{DD}", "a span is {SPAN}, or the date {YYYY}, {MM} and {DD}, not both"),
        ("{YYYY}-{DD}", "a date is {YYYY}, {MM} and {DD} together; missing here: {MM}"),
        ("{MM}", "missing here: {YYYY}, {DD}"),
        ("v{VERSION}", "{VERSION} is the version of a span; missing here: {SPAN}, or {YYYY}, {MM} and {DD}"),
        ("{SPAM}", "{SPAM} is not known here; known are {SPAN}, {VERSION}, {YYYY}, {MM}, {DD}"),
        ("{span}", "{span} is not known here"),
        ("{YYYY:4}{MM}{DD}", "{YYYY:4} is not known here"),
        ("{SPAN:0}", "{SPAN:0}: the width is a number of digits from 1 to 99, as in {SPAN:3}"),
        ("{SPAN}{VERSION:x}", "{VERSION:x}: the width is"),
        ("{SPAN:}", "{SPAN:}: the width is"),
    ],
)
def test_placeholders_that_make_no_sense(pattern: str, says: str) -> None:
    with pytest.raises(ValueError) as caught:
        Data(examples=pattern)
    assert says in str(caught.value)
    with pytest.raises(ValueError) as caught:
        Data(examples="data", split=PatternSplit(train="a", validation=pattern, test="b"))
    assert "validation: " in str(caught.value) and says in str(caught.value)


@given(st.text(st.sampled_from("{}[]!*?:/-3aSPANVERIOYMD\\"), max_size=20))
def test_any_text_is_a_pattern_or_a_mistake(text: str) -> None:
    try:
        pattern = SpanPattern.parse(text)
    except ValueError:
        return
    if pattern:
        pattern.place(text)
        assert SpanPattern.parse(pattern.example) is None


def diagnostics(path: Path, data: str, look: bool = False) -> dict[str, str]:
    path.write_text(PIPELINE.replace("  examples: data\n  split: {train: 6, validation: 2, test: 2}\n", data))
    with pytest.raises(PipelineFileError) as caught:
        check(path, look=look)
    return {diagnostic.key: diagnostic.message for diagnostic in caught.value.diagnostics}


def test_a_window_needs_spans_and_mistakes_come_at_once(tmp_path: Path) -> None:
    path = tmp_path / "pipeline.yaml"
    found = diagnostics(path, "  examples: data\n  window: 3\n")
    assert found.keys() == {"data.window"} and "data/span-{SPAN}/*" in found["data.window"]
    found = diagnostics(path, "  examples: data\n  split: {train: a, validation: b, test: c}\n  window: 3\n")
    assert found.keys() == {"data.window"}
    found = diagnostics(path, "  examples: data/{SPAM}\n  window: 0\n  split: {train: 0}\n")
    assert found.keys() == {"data.examples", "data.window", "data.split.train"}
    assert "greater than or equal to 1" in found["data.window"]
    with pytest.raises(ValueError, match="a window counts spans"):
        Data(examples="data", split=HashSplit(), window=1)


def test_a_pattern_for_each_split_counts_from_a_folder(tmp_path: Path) -> None:
    path = tmp_path / "pipeline.yaml"
    found = diagnostics(path, "  examples: data/*.gz\n  split: {train: a, validation: b, test: c}\n")
    assert found.keys() == {"data.split"}
    assert "data.examples must be the folder that the patterns are relative to" in found["data.split"]
    assert "data/*.gz has wildcards" in found["data.split"]
    found = diagnostics(
        path, "  examples: data\n  split: {train: '{SPAN}/a', validation: b, test: '{SPAN}/{VERSION}'}\n"
    )
    assert "different kinds of spans (train SPAN, test SPAN VERSION)" in found["data.split"]


def test_check_names_the_pattern_and_what_was_looked_for(tmp_path: Path) -> None:
    path = make_project(tmp_path, records=example_data.labelled(2))
    found = diagnostics(path, "  examples: data/{YYYY}/{MM}-{DD}/*.gz\n", look=True)
    assert found == {
        "data.examples": f"{tmp_path}/data/{{YYYY}}/{{MM}}-{{DD}}/*.gz: no files matched; expected paths such as "
        f"{tmp_path}/data/2024/10-04/*.gz"
    }
    for split in ("train", "val"):
        example_data.write_tfrecord(tmp_path / "data" / "span-001" / f"{split}-1", example_data.labelled(2))
    patterns = "{train: 'span-{SPAN:3}/train-*', validation: 'span-{SPAN:3}/val-*', test: 'span-{SPAN:3}/test-*'}"
    found = diagnostics(path, f"  examples: data\n  split: {patterns}\n", look=True)
    assert found.keys() == {"data.split.test"} and found["data.split.test"].endswith("/data/span-007/test-*")


@pytest.mark.parametrize("name", ["a[b]", "*", "what?", "{SPAN}", "[*]", "{a}[!x", "]["])
@pytest.mark.parametrize("examples", ["data", "data/*.gz", "data/{SPAN}.gz"])
def test_the_folder_of_the_pipeline_file_may_be_named_anything(tmp_path: Path, name: str, examples: str) -> None:
    path = write(tmp_path / name, "data/7.gz", "pipeline.yaml") / "pipeline.yaml"
    write(tmp_path / "b", "data/8.gz")  # a wildcard `*` would match it
    path.write_text(PIPELINE.replace("examples: data", f"examples: {examples}"))
    files = pin_files(load(path)[0].data).by_split["all"]
    assert [file.path for file in files] == [str(tmp_path / name / "data" / "7.gz")]


def test_patterns_for_splits_too_count_from_a_folder_named_anything(tmp_path: Path) -> None:
    path = (
        write(tmp_path / "a[b]*{SPAN}", "data/1/train", "data/1/val", "data/1/test", "pipeline.yaml") / "pipeline.yaml"
    )
    split = "split: {train: train*, validation: val*, test: test*}"
    text = PIPELINE.replace("examples: data", "examples: data/{SPAN}")
    path.write_text(text.replace("split: {train: 6, validation: 2, test: 2}", split))
    assert pin_files(load(path)[0].data).spans == (1,)


@given(st.text(st.sampled_from("[]*?{}!ab"), min_size=1))
def test_an_escaped_path_stands_for_itself(path: str) -> None:
    assert unescape(escape(path)) == path
    assert not has_wildcards(escape(path))
    assert SpanPattern.parse(escape(path)) is None


@pytest.mark.slow
def test_spans_are_found_without_tensorflow(tmp_path: Path) -> None:
    write(tmp_path, "1/a")
    program = (
        "import sys\n"
        "from hubline.components.config.data import Data\n"
        "from hubline.components.pin.snapshot import pin_files\n"
        f"assert pin_files(Data(examples={str(tmp_path)!r} + '/{{SPAN}}')).spans == (1,)\n"
        "assert not {'tensorflow', 'tfx', 'apache_beam'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=Path(__file__).parents[2])


def test_days_and_spans_count_alike() -> None:
    assert to_date(0) == date(1970, 1, 1) and to_date(19_782) - timedelta(days=1) == date(2024, 2, 28)
