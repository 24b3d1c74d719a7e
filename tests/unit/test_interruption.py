"""Signals as a flag: where it is checked, and that the process ends."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from hubline.core import interruption
from hubline.core.interruption import Interrupted
from hubline.core.progress import report
from tests.support.signals import Sends

PROJECT = Path(__file__).parents[2]

BOTH = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])


@BOTH
def test_a_signal_is_seen_by_the_next_look_and_not_in_between(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with interruption.handled():
        interruption.check()
        os.kill(os.getpid(), number)
        assert interruption.received() == number
        for look in (interruption.check, lambda: report(1, 2, "examples")):
            with pytest.raises(Interrupted, match=number.name):
                look()
    assert signal.getsignal(number) is before and interruption.received() is None


@BOTH
def test_a_signal_in_a_destructor_is_not_lost(number: signal.Signals) -> None:
    with interruption.handled():
        Sends(number)
        with pytest.raises(Interrupted):
            interruption.check()


@pytest.mark.slow
def test_where_nobody_looks_the_main_thread_is_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interruption, "PATIENCE_SECONDS", 0.1)
    with interruption.handled():
        os.kill(os.getpid(), signal.SIGTERM)
        for _ in range(2):  # the first one may have been lost
            with pytest.raises(Interrupted):
                threading.Event().wait(20)
        assert interruption.ended_by() == signal.SIGTERM
        time.sleep(0.3)


def test_elsewhere_than_in_the_main_thread_nothing_changes() -> None:
    before = signal.getsignal(signal.SIGINT)
    seen = []

    def look() -> None:
        with interruption.handled():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert seen == [before]


def started(program: str, at_first: str) -> subprocess.Popen:
    """A process whose handler of SIGINT is at first another one."""
    lines = (
        f"import signal, time\nsignal.signal(signal.SIGINT, signal.{at_first})\n"
        f"from hubline.core import interruption\nwith interruption.handled():\n{program}"
    )
    process = subprocess.Popen([sys.executable, "-c", lines], stdout=subprocess.PIPE, text=True, cwd=PROJECT)
    assert process.stdout and process.stdout.readline() == "ready\n"
    return process


@BOTH
def test_the_second_signal_ends_the_process_at_once(number: signal.Signals) -> None:
    process = started(
        "    print('ready', flush=True)\n"
        "    while not interruption.received(): time.sleep(0.01)\n"
        "    print('stopping', flush=True)\n"
        "    while True: time.sleep(1)\n",
        "default_int_handler",
    )
    process.send_signal(signal.SIGTERM)
    assert process.stdout and process.stdout.readline() == "stopping\n"
    process.send_signal(number)
    assert process.wait(timeout=20) == {signal.SIGINT: 130, signal.SIGTERM: 143}[number]


@pytest.mark.slow
def test_a_signal_that_is_ignored_stays_so() -> None:
    process = started(
        "    print('ready', flush=True)\n    time.sleep(1)\n    interruption.check()\n",
        "SIG_IGN",
    )
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=20) == 0
