"""What a person sees: text on a terminal, in which data and names are shown and never obeyed."""

import re
from collections.abc import Iterable
from typing import TextIO

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

# Control characters but line feed and tab; and those that turn the direction of writing, which can make a text read as
# another one (https://www.unicode.org/reports/tr36/#Bidirectional_Text_Spoofing).
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def plain(text: str) -> str:
    r"""The text with what a terminal would act on written out: an escape character becomes the four letters `\x1b`."""
    return _UNSAFE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


class _PlainConsole(Console):
    """A console that takes text for text: no markup, no emoji codes, no control characters but rich's own."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=plain(segment.text))


def console_on(file: TextIO) -> Console:
    """A console for text that holds data or names from outside; live displays and colours are for a terminal alone."""
    # Rich takes a notebook for a terminal, or makes each line an output of its own; lines of text do better there.
    return _PlainConsole(
        file=file, force_terminal=file.isatty(), force_jupyter=False, markup=False, emoji=False, highlight=False
    )
