"""What a part of a program uses: processor time, bytes read and written, and memory; worker processes count."""

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from hubline.core.config_base import Section

_PEAK = re.compile(r"^VmHWM:\s+(\d+) kB$", re.MULTILINE)


class Usage(Section):
    """What was used. A value is None where the system doesn't count it, as macOS doesn't the last three."""

    cpu_seconds: float
    """Processor time of this process, its workers, and programs that it started and that ended."""
    read_bytes: int | None = None
    """Bytes that were read, from a disk or the system's cache; not those of memory-mapped files."""
    written_bytes: int | None = None
    peak_memory: int | None = None
    """Highest resident memory in bytes: that of this process, and of each worker that is still there at the end."""


@dataclass
class Measurement:
    """Filled at the end of `measured`."""

    usage: Usage | None = None


@contextmanager
def measured() -> Iterator[Measurement]:
    """Measures what the block uses, also if it fails."""
    measurement, before = Measurement(), _totals()
    for process in _processes():
        _reset_peak(process.pid)
    try:
        yield measurement
    finally:
        after = _totals()
        peaks = [peak for process in _processes() if (peak := _peak(process.pid))]
        counts = after.read is not None and before.read is not None
        measurement.usage = Usage(
            # What a process used goes with it if it outlives the one that started it.
            cpu_seconds=max(round(after.cpu - before.cpu, 2), 0.0),
            read_bytes=max((after.read or 0) - (before.read or 0), 0) if counts else None,
            written_bytes=max((after.written or 0) - (before.written or 0), 0) if counts else None,
            peak_memory=sum(peaks) or None,
        )


@dataclass(frozen=True)
class _Totals:
    cpu: float
    read: int | None
    written: int | None


def _totals() -> _Totals:
    """Of this process and its workers since they began. Those of a program that ended are in its parent's, if that
    waited for it."""
    cpu, read, written, counts = 0.0, 0, 0, False
    for process in _processes():
        try:
            times = process.cpu_times()
            cpu += times.user + times.system + times.children_user + times.children_system
            counters = process.io_counters() if hasattr(process, "io_counters") else None
        except psutil.Error:  # it has just ended
            continue
        if counters and hasattr(counters, "read_chars"):
            counts, read, written = True, read + counters.read_chars, written + counters.write_chars
    return _Totals(cpu, read if counts else None, written if counts else None)


def _processes() -> list[psutil.Process]:
    this = psutil.Process()
    return [this, *this.children(recursive=True)]


def _reset_peak(pid: int) -> None:
    with suppress(OSError):  # where it can't be reset, the peak is that since the process began
        Path(f"/proc/{pid}/clear_refs").write_text("5")  # see proc(5)


def _peak(pid: int) -> int | None:
    try:
        found = _PEAK.search(Path(f"/proc/{pid}/status").read_text())
    except OSError:
        return None
    return int(found[1]) * 1024 if found else None
