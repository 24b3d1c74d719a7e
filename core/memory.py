"""The memory of the machine, or of the container."""

from dataclasses import dataclass
from pathlib import Path

import psutil


@dataclass(frozen=True)
class _Cgroup:
    """Where a version of control groups says what a container may take, and what it has taken."""

    limit: str
    used: str
    statistics: str
    inactive: str
    """The line of `statistics` with the bytes of files that the kernel drops as soon as memory is asked for."""


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
    """Bytes of memory that can be taken now: of the machine, or of the container where that is allowed less.

    Where data is kept may depend on this, and no result may.
    """
    left = [psutil.virtual_memory().available]
    for cgroup in _CGROUPS:
        if Path(cgroup.limit).exists() and (limit := Path(cgroup.limit).read_text().strip()).isdecimal():
            left.append(int(limit) - _in_use(cgroup))
    return max(min(left), 0)


def _in_use(cgroup: _Cgroup) -> int:
    """Bytes in use as Kubernetes counts them (the working set): without the page cache of files not read of late."""
    used = int(Path(cgroup.used).read_text())
    if not Path(cgroup.statistics).exists():
        return used
    statistics = dict(line.split(maxsplit=1) for line in Path(cgroup.statistics).read_text().splitlines())
    return max(used - int(statistics.get(cgroup.inactive, 0)), 0)
