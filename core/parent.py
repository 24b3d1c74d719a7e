"""What binds a process to the one that started it."""

import os
import threading


def end_with_parent(code: int) -> None:
    """Ends this process as soon as the one that holds the other end of its standard input is gone, even if killed.

    Otherwise a run that was killed would leave it behind, to write the same files as that of the next run, or to keep a
    port.

    Args:
        code: The exit code.
    """
    threading.Thread(target=_wait, args=(code,), daemon=True).start()


def _wait(code: int) -> None:
    # Not `sys.stdin`: Python waits for its lock when the process ends.
    while os.read(0, 1):
        pass
    os._exit(code)
