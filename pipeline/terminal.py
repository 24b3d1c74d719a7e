"""Terminal output in which data and names are shown but never interpreted."""

import re
from collections.abc import Iterable
from typing import TextIO

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

# Control characters except line feed and tab; and characters that change the direction of writing, which can disguise a
# text (https://www.unicode.org/reports/tr36/#Bidirectional_Text_Spoofing).
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def plain(text: str) -> str:
    r"""Escapes everything that a terminal would interpret: an escape character becomes the four characters `\x1b`."""
    return _UNSAFE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


class _PlainConsole(Console):
    """A console that prints text literally: no markup, no emoji codes, no control characters but rich's own."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=plain(segment.text))


def console_on(file: TextIO, quiet: bool = False) -> Console:
    """A console for text with external data or names. Live displays and colours need a terminal; a quiet one prints
    nothing."""
    # Rich treats a notebook as a terminal, or makes each line a separate output; plain lines work better there.
    return _PlainConsole(
        file=file,
        force_terminal=file.isatty(),
        force_jupyter=False,
        markup=False,
        emoji=False,
        highlight=False,
        quiet=quiet,
    )
