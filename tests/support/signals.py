"""Signals where they do the most harm."""

import os
import signal


class Sends:
    """Has the process get a signal in a destructor, where Python drops what is raised."""

    def __init__(self, number: signal.Signals) -> None:
        self._number = number

    def __del__(self) -> None:
        os.kill(os.getpid(), self._number)
