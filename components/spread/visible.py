"""Results of other hosts, which a network file system may show a while after they were written.

NFS clients cache that a name doesn't exist, for up to a minute by default (`acdirmax`). Listing a folder makes them ask
the server again.
"""

import time
from collections.abc import Sequence
from dataclasses import replace

from hubline.components.spread.stage import Stage, Task
from hubline.core import interruption, storage
from hubline.core.config_base import is_remote
from hubline.core.progress import note

SECONDS = 90.0
"""How long to wait for results: a minute, and some time for slow servers."""
_PAUSE_SECONDS = 0.5


def wait_for_results(stage: Stage[Task], tasks: Sequence[Task], seconds: float = SECONDS) -> list[Task]:
    """Waits until the results of tasks that are done are visible here.

    Object stores show them at once.

    Args:
        stage: Describes the tasks.
        tasks: Tasks that are done.
        seconds: How long to wait.

    Returns:
        The tasks whose result is still not visible.
    """
    until = time.monotonic() + (0 if is_remote(stage.store) else seconds)
    missing = replace(stage, tasks=tasks).missing()
    if missing and time.monotonic() < until:
        note(f"waiting until {len(missing)} results that workers wrote are visible in {stage.store}")
    while missing and time.monotonic() < until:
        interruption.check()
        time.sleep(_PAUSE_SECONDS)
        storage.names(stage.store)
        for task in missing:
            storage.names(f"{stage.store}/{task.key}")
        missing = replace(stage, tasks=missing).missing()
    return missing
