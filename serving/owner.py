"""Identity of the writing process, from which another process can tell whether the writer is still alive."""

import os
import socket
from pathlib import Path

from hubline.core.config_base import Section


def _here() -> str:
    # The PID namespace tells containers with the same host name apart.
    try:
        namespace = "".join(filter(str.isdecimal, Path("/proc/self/ns/pid").readlink().name))
    except OSError:  # not Linux
        namespace = "0"
    return f"{namespace}-{socket.gethostname()}"


class Owner(Section):
    process: int
    where: str
    """Host name and PID namespace."""

    @classmethod
    def me(cls) -> "Owner":
        """The current process."""
        return cls(process=os.getpid(), where=_here())

    @classmethod
    def parse(cls, text: str) -> "Owner | None":
        """Parses the text form of an owner; None for any other text."""
        process, _, where = text.partition("-")
        return cls(process=int(process), where=where) if process.isdecimal() and where else None

    def __str__(self) -> str:
        return f"{self.process}-{self.where}"

    @property
    def is_dead(self) -> bool:
        """Whether the process is known to have ended. Always False for a process on another machine."""
        if self.where != _here():
            return False
        try:
            os.kill(self.process, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            return False
        return False
