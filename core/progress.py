"""How far long work has come, said through `logging`: a terminal, a log file or nobody may listen."""

import logging

from hubline.core import interruption

LOGGER = logging.getLogger("hubline.progress")


def report(done: float, total: float, unit: str, **values: float) -> None:
    """Says that `done` of `total` units of the step that is running are done, and ends where the process was asked to.

    Args:
        done: Units finished so far.
        total: Units in all.
        unit: What is counted, in the plural.
        **values: Figures worth showing beside it, such as a loss.

    Raises:
        Interrupted: where the process was asked to end.
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
