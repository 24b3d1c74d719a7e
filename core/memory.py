"""The memory of the machine, or of the container."""

from pathlib import Path

import psutil

LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
"""The files with the memory limit of a container, in version 2 and version 1 of control groups."""


def memory_size() -> int:
    """Bytes of memory that the machine has, or the container's limit if that is lower.

    Unlike free memory, it doesn't depend on what else runs, so decisions that follow it can be repeated.
    """
    sizes = [psutil.virtual_memory().total]
    for path in map(Path, LIMITS):
        if path.exists() and (limit := path.read_text().strip()).isdecimal():  # `max` means no limit
            sizes.append(int(limit))
    return min(sizes)
