"""Progress of long-running work, reported through `logging` to a terminal, a log file or nobody."""

import logging

from hubline.core import interruption

LOGGER = logging.getLogger("hubline.progress")


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
    shown = "".join(f" {name}={value:.4g}" for name, value in values.items())
    LOGGER.info(
        "%.4g of %.4g %s%s",
        done,
        total,
        unit,
        shown,
        extra={"progress": {"done": done, "total": total, "unit": unit, "values": values}},
    )
