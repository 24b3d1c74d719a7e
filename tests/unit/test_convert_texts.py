"""Converts texts to records, one per file or per line."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hubline.core.errors import UserError
from hubline.pipeline.convert import from_text
from tests.support.conversion import rows_of, types_of
from tests.support.files_to_convert import by_file, converted, table, write

# Texts


def test_texts_in_folders(tmp_path: Path) -> None:
    two_lines = "ünï\r\n  two lines\n".encode()
    write(tmp_path / "in", good__1_txt=two_lines, bad__2_text=b"\xef\xbb\xbfwith a mark", bad__3_md=b"x")
    done = converted(from_text.in_folders(tmp_path / "in"), tmp_path)
    assert {file: (row["text"], row["label"]) for file, row in by_file(tmp_path / "out").items()} == {
        "good/1.txt": ([two_lines], [b"good"]),
        "bad/2.text": ([b"with a mark"], [b"bad"]),
        "bad/3.md": ([b"x"], [b"bad"]),
    }
    assert done.classes == {"bad": 2, "good": 1}


def test_files_that_are_no_text_are_bad(tmp_path: Path) -> None:
    write(tmp_path / "in", a__1_txt=b"ok", a__2_txt=b"ok \xe9", a__3_txt=b" \n", a__4_bin=b"a\0b", top_txt=b"x")
    done = converted(from_text.in_folders(tmp_path / "in"), tmp_path, "skip")
    assert sorted(done.bad) == [
        "a/2.txt: byte 0xe9 at 3 is not UTF-8",
        "a/3.txt: contains no text",
        "a/4.bin: is not text: it contains zero bytes",
        "top.txt: has no class, because it is not in one of the class folders",
    ]
    assert [row["file"] for row in rows_of(tmp_path / "out")] == [[b"a/1.txt"]]


lines = st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r\n"), max_size=5), max_size=6)


@pytest.mark.slow
@given(lines, st.sampled_from(["\n", "\r\n"]), st.booleans())
@settings(deadline=None, max_examples=40)
def test_lines_are_texts_and_blank_ones_are_none(texts: list[str], ending: str, ended: bool) -> None:
    wanted = [text for text in texts if text.encode().strip()]
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as name:
        patch.setattr(from_text, "BOM", b"\xff")  # which none of these texts begins with
        folder = Path(name)
        (folder / "lines.txt").write_bytes((ending.join(texts) + ending * ended).encode())
        if not wanted:
            with pytest.raises(UserError, match="contains no lines"):
                from_text.in_lines(folder / "lines.txt")
            return
        converted(from_text.in_lines(folder / "lines.txt"), folder)
        assert rows_of(folder / "out") == [{"text": [text.encode()]} for text in wanted]


@pytest.mark.parametrize(
    ("labels", "kind", "values"),
    [("good\nbad\ngood\n\n", "bytes", [b"good", b"bad", b"good"]), ("1\r\n0\r\n1", "int64", [1, 0, 1])],
)
def test_lines_with_labels(tmp_path: Path, labels: str, kind: str, values: list) -> None:
    write(tmp_path, texts_txt=b"\xef\xbb\xbffine, I say\nno\nwell \n", labels_txt=labels.encode())
    done = converted(from_text.in_lines(tmp_path / "texts.txt", tmp_path / "labels.txt"), tmp_path)
    texts = [b"fine, I say", b"no", b"well "]
    assert rows_of(tmp_path / "out") == [
        {"text": [text], "label": [label]} for text, label in zip(texts, values, strict=True)
    ]
    assert types_of(done) == {"text": "bytes", "label": kind}
    assert done.classes == {str(v.decode() if isinstance(v, bytes) else v): values.count(v) for v in values}


def test_bad_lines_are_named_by_their_number(tmp_path: Path) -> None:
    write(tmp_path, texts_txt=b"a\n\nb\n\xe9\nc\n", labels_txt=b"x\ny\n\nx\ny\n")
    done = converted(from_text.in_lines(tmp_path / "texts.txt", tmp_path / "labels.txt"), tmp_path, "skip")
    assert [line.replace(f"{tmp_path}/", "") for line in done.bad] == [
        "texts.txt:2: contains no text",
        "texts.txt:3: has no label in labels.txt",
        "texts.txt:4: byte 0xe9 at 0 is not UTF-8",
    ]
    assert [row["text"] for row in rows_of(tmp_path / "out")] == [[b"a"], [b"c"]]


@pytest.mark.parametrize(
    ("texts", "labels", "said"),
    [
        (b"a\nb\n", b"x\n", "labels.txt: 1 labels, but texts.txt has 2 lines"),
        (b"a\n", b"x\ny\n", "labels.txt: 2 labels, but texts.txt has 1 lines"),
        (b"a\nb\n", b"x\n\xe9\n", "labels.txt:2: byte 0xe9 is not UTF-8"),
        (None, b"x", "texts.txt: there is no such file"),
        (b"a\n", None, "labels.txt: there is no such file"),
    ],
)
def test_lines_and_labels_must_go_together(
    tmp_path: Path, texts: bytes | None, labels: bytes | None, said: str
) -> None:
    files = {"texts_txt": texts, "labels_txt": labels}
    write(tmp_path, **{name: data for name, data in files.items() if data is not None})
    with pytest.raises(UserError) as error:
        from_text.in_lines(tmp_path / "texts.txt", tmp_path / "labels.txt")
    assert str(error.value).replace(f"{tmp_path}/", "") == said


def test_a_table_of_texts_is_for_another_command(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is a table, not one text per line; use hubline convert csv"):
        from_text.in_lines(table(tmp_path, "text,label\na,b\n"))
