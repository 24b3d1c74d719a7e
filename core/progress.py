"""Progress of long-running work, reported through `logging` to a terminal, a log file or nobody."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from hubline.core import interruption

LOGGER = logging.getLogger("hubline.progress")

_within: tuple[float, float, str] | None = None


@contextmanager
def within(done: float, total: float, unit: str) -> Iterator[None]:
    """Reports the progress of a part as that of the whole.

    Args:
        done: Units of the whole that were finished before; the part is one unit.
        total: Units of the whole.
        unit: Name of the unit, in the plural.
    """
    global _within
    before, _within = _within, (done, total, unit)
    try:
        yield
    finally:
        _within = before


def note(text: str) -> None:
    """Tells the user something about the running step."""
    LOGGER.info("%s", text)


def report(done: float, total: float, unit: str, **values: float) -> None:
    """Reports progress of the running step, and stops if the process was asked to end.

    Args:
        done: Units finished so far.
        total: Units in all.
        unit: Name of the unit, in the plural.
        **values: Figures to show next to the progress, such as a loss.

    Raises:
        Interrupted: if the process was asked to end.
    """
    interruption.check()
    show(done, total, unit, **values)


def show(done: float, total: float, unit: str, **values: float) -> None:
    """Reports progress from a thread other than the main one, which goes on if the process was asked to end."""
    if _within is not None:
        done, total, unit = _within[0] + min(done / max(total, 1e-9), 1.0), _within[1], _within[2]
    shown = "".join(f" {name}={value:.4g}" for name, value in values.items())
    LOGGER.info(
        "%.4g of %.4g %s%s",
        done,
        total,
        unit,
        shown,
        extra={"progress": {"done": done, "total": total, "unit": unit, "values": values}},
    )
