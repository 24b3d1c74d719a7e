"""Who is writing, so that another process can tell whether the writer is still alive."""

import os
import socket
from pathlib import Path

from hubline.core.config_base import Section


def _here() -> str:
    # Containers that share a host's name have process numbers of their own.
    try:
        namespace = "".join(filter(str.isdecimal, Path("/proc/self/ns/pid").readlink().name))
    except OSError:  # not on Linux
        namespace = "0"
    return f"{namespace}-{socket.gethostname()}"


class Owner(Section):
    """A process."""

    process: int
    where: str
    """The host, and the container on it."""

    @classmethod
    def me(cls) -> "Owner":
        """This process."""
        return cls(process=os.getpid(), where=_here())

    @classmethod
    def parse(cls, text: str) -> "Owner | None":
        """The owner that was written as a text; None for any other text."""
        process, _, where = text.partition("-")
        return cls(process=int(process), where=where) if process.isdecimal() and where else None

    def __str__(self) -> str:
        return f"{self.process}-{self.where}"

    @property
    def is_dead(self) -> bool:
        """Whether it is known to have ended; of a process on another machine nothing is known."""
        if self.where != _here():
            return False
        try:
            os.kill(self.process, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            return False
        return False
