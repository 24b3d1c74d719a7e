"""Finds the name that was probably meant."""

import difflib
from collections.abc import Iterable

_CUTOFF = 0.5


def close_name(name: str, known: Iterable[str]) -> str | None:
    """The known name closest to a mistyped or shortened one (`learning_rate` for `lr`); None if none is close."""
    folded = {each.casefold(): each for each in known}
    wanted = name.casefold()
    if close := difflib.get_close_matches(wanted, folded, n=1, cutoff=_CUTOFF):
        return folded[close[0]]
    if len(wanted) < 2:
        return None
    shortened = [each for each in folded if each.startswith(wanted) or _initials(each) == wanted]
    return folded[shortened[0]] if len(shortened) == 1 else None


def _initials(name: str) -> str:
    return "".join(word[:1] for word in name.split("_"))
