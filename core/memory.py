"""Memory of the machine or container."""

from pathlib import Path

import psutil

LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
"""Files with a container's memory limit, for cgroups v2 and v1."""


def memory_size() -> int:
    """The machine's memory in bytes, or the container's limit if it is lower.

    Unlike free memory, it doesn't depend on what else runs, so decisions based on it are reproducible.
    """
    sizes = [psutil.virtual_memory().total]
    for path in map(Path, LIMITS):
        if path.exists() and (limit := path.read_text().strip()).isdecimal():  # `max` means no limit
            sizes.append(int(limit))
    return min(sizes)
