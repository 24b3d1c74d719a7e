"""Available memory of the machine or container."""

from dataclasses import dataclass
from pathlib import Path

import psutil


@dataclass(frozen=True)
class _Cgroup:
    """Files in which a version of control groups reports a container's memory."""

    limit: str
    used: str
    statistics: str
    inactive: str
    """Key in `statistics` for the bytes of file cache that the kernel drops as soon as memory is needed."""


_CGROUPS = (
    _Cgroup(
        "/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current", "/sys/fs/cgroup/memory.stat", "inactive_file"
    ),
    _Cgroup(
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
        "/sys/fs/cgroup/memory/memory.usage_in_bytes",
        "/sys/fs/cgroup/memory/memory.stat",
        "total_inactive_file",
    ),
)


def available_memory() -> int:
    """Bytes of memory that are available now, on the machine or, if less, in the container.

    Where data is kept may depend on this value; results may not.
    """
    left = [psutil.virtual_memory().available]
    for cgroup in _CGROUPS:
        if Path(cgroup.limit).exists() and (limit := Path(cgroup.limit).read_text().strip()).isdecimal():
            left.append(int(limit) - _in_use(cgroup))
    return max(min(left), 0)


def _in_use(cgroup: _Cgroup) -> int:
    """Bytes in use as Kubernetes counts them (the working set): without inactive file cache."""
    used = int(Path(cgroup.used).read_text())
    if not Path(cgroup.statistics).exists():
        return used
    statistics = dict(line.split(maxsplit=1) for line in Path(cgroup.statistics).read_text().splitlines())
    return max(used - int(statistics.get(cgroup.inactive, 0)), 0)
