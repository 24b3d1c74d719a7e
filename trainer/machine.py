"""What the machine, or the container, has to offer."""

from pathlib import Path

import psutil

_CGROUPS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)


def available_memory() -> int:
    """Bytes of memory that can be taken now: of the machine, or of the container where that is allowed less."""
    left = [psutil.virtual_memory().available]
    for limit, used in _CGROUPS:
        if Path(limit).exists() and (text := Path(limit).read_text().strip()).isdecimal():
            left.append(int(text) - int(Path(used).read_text()))
    return max(min(left), 0)
