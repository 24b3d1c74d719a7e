"""Data and names on a terminal are displayed, never interpreted."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.table import Table

from hubline.pipeline.terminal import console_on, plain

TITLE = "\x1b]0;owned\x07"


def printed(*renderables: object) -> str:
    file = io.StringIO()
    for each in renderables:
        console_on(file).print(each, soft_wrap=True)
    return file.getvalue()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"a{TITLE}b", r"a\x1b]0;owned\x07b"),
        ("[/x] [bold]b[/] :smile:", "[/x] [bold]b[/] :smile:"),
        ("\x9b31m", r"\x9b31m"),
        ("abc\rdef", r"abc\rdef"),
        ("user\u202egnp.exe", r"user\u202egnp.exe"),
        ("line\n\tnext", "line\n\tnext"),
        ("Größe 東京 🎈", "Größe 東京 🎈"),
    ],
)
def test_text_is_shown_as_it_is_and_what_a_terminal_acts_on_is_written_out(text: str, shown: str) -> None:
    assert plain(text) == shown
    # Rich itself drops some characters, such as the bell, before they can be escaped.
    written_out = {r"a\x1b]0;owned\x07b": r"a\x1b]0;ownedb", r"abc\rdef": "abcdef"}.get(shown, shown)
    assert printed(text).split() == written_out.split()


def test_cells_and_headers_of_tables_are_text_too() -> None:
    table = Table(f"[/x]{TITLE}")
    table.add_row(f"[red]{TITLE}[/nothing]")
    assert "\x1b" not in printed(table)
    assert "[red]" in printed(table) and "[/x]" in printed(table)


@given(st.text(st.characters()))
def test_nothing_that_a_terminal_acts_on_comes_through(text: str) -> None:
    assert all(each in "\n\t" or each.isprintable() or ord(each) >= 0xA0 for each in plain(text))


def test_colours_of_our_own_reach_a_terminal() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    file = Terminal()
    console_on(file).print("red \x1b[0m", style="red")
    assert "\x1b[31m" in file.getvalue() and r"\x1b[0m" in file.getvalue()


@pytest.mark.slow
def test_a_mistake_in_a_file_shows_what_stands_there_without_obeying_it(tmp_path: Path) -> None:
    file = tmp_path / "pipeline.yaml"
    file.write_text('name: "\\e]0;owned\\a"\n"[/x]\\e[2J": 1\n')
    ended = subprocess.run(
        [sys.executable, "-m", "hubline.pipeline.cli", "check", str(file)],
        capture_output=True,
        text=True,
        env={**os.environ, "FORCE_COLOR": ""},
    )
    assert ended.returncode == 2
    assert "\x1b]0" not in ended.stderr and "\x1b[2J" not in ended.stderr
    assert "\\x1b]0;owned" in ended.stderr and "[/x]" in ended.stderr
