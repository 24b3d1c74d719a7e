"""SIGINT and SIGTERM as a flag that long-running code checks.

An exception from a signal handler lands wherever Python happens to be; in a destructor, Python prints and drops it. The
flag is seen by the next `check`: between steps, batches and shards, and before anything is pushed.

If no code checks the flag for `PATIENCE_SECONDS`, for example while the main thread waits for Beam workers that Ctrl-C
has ended, Interrupted is raised wherever the main thread is, repeatedly. The flag stays set, so a lost exception does
no harm.
"""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, NoReturn

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
PATIENCE_SECONDS = 10.0
_SHOW_CURSOR = b"\x1b[?25h\n"

_received: signal.Signals | None = None


class Interrupted(Exception):
    """The process was asked to end. Not a `KeyboardInterrupt`, on which Beam's workers hang."""


def received() -> signal.Signals | None:
    """The signal that asked this process to end, or None."""
    return _received


def check() -> None:
    """Raises Interrupted if the process was asked to end."""
    if _received:
        if threading.current_thread() is threading.main_thread():
            _be_patient()
        raise Interrupted(_received.name)


def ended_by() -> signal.Signals | None:
    """The signal that asked this process to end, or None. Also stops further interruptions, for code that ends the
    process."""
    _be_patient()
    return _received


def exit_code(number: signal.Signals) -> int:
    """The shell's exit code for a process ended by a signal: 130 for SIGINT, 143 for SIGTERM."""
    return 128 + number


def shell_code(returncode: int) -> int:
    """A process's exit code as shells and containers tell it, from that of `subprocess`: minus a signal's number."""
    return returncode if returncode >= 0 else 128 - returncode


@contextmanager
def handled() -> Iterator[None]:
    """Makes SIGINT and SIGTERM set the flag; a second signal ends the process at once.

    A signal that the process was started to ignore stays ignored, as `nohup` and background jobs of shells expect.
    Outside the main thread, where Python allows no handlers, nothing changes.
    """
    global _received
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (*_SIGNALS, signal.SIGALRM)}
    _received = None
    try:
        for number in _SIGNALS:
            if before[number] is not signal.SIG_IGN:
                signal.signal(number, _handle)
        yield
    finally:
        _be_patient()
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)
        _received = None


def _handle(number: int, _: Any) -> None:
    global _received
    if _received:
        _end_at_once(signal.Signals(number))
    _received = signal.Signals(number)
    signal.signal(signal.SIGALRM, _press)
    signal.setitimer(signal.ITIMER_REAL, PATIENCE_SECONDS, PATIENCE_SECONDS)


def _press(_number: int, _frame: Any) -> None:
    if _received:
        raise Interrupted(_received.name)


def _be_patient() -> None:
    if _received:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _end_at_once(number: signal.Signals) -> NoReturn:
    with suppress(OSError):  # the live table has hidden the terminal's cursor
        os.write(os.open("/dev/tty", os.O_WRONLY | os.O_NOCTTY), _SHOW_CURSOR)
    os._exit(exit_code(number))
