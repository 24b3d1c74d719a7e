"""What a block uses is measured: processor time, bytes and memory, with those of workers."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hubline.core.usage import Usage, measured

MIB = 2**20


def used(program: str, tmp_path: Path) -> Usage:
    """What a program uses, measured by a process that starts it, and waits for it."""
    with measured() as measurement:
        subprocess.run([sys.executable, "-c", program], check=True, cwd=tmp_path)
    assert measurement.usage is not None
    return measurement.usage


def test_processor_time_is_that_of_the_block_and_of_programs_that_it_waits_for(tmp_path: Path) -> None:
    with measured() as idle:
        time.sleep(0.2)
    assert idle.usage is not None and idle.usage.cpu_seconds < 0.15
    busy = "import time\nwhile time.process_time() < 0.5: pass"
    assert 0.5 <= used(busy, tmp_path).cpu_seconds < 2


@pytest.mark.skipif(sys.platform != "linux", reason="no other system counts them by process")
def test_bytes_and_memory_are_those_of_the_block(tmp_path: Path) -> None:
    whole = bytearray(os.urandom(64 * MIB))  # a peak before the block, which doesn't count
    del whole
    content = os.urandom(8 * MIB)
    with measured() as first:
        (tmp_path / "file").write_bytes(content)
    with measured() as second:
        held = bytearray((tmp_path / "file").read_bytes()) * 4
    assert len(held) == 32 * MIB and first.usage is not None and second.usage is not None
    assert first.usage.written_bytes is not None and 8 * MIB <= first.usage.written_bytes < 9 * MIB
    assert second.usage.read_bytes is not None and 8 * MIB <= second.usage.read_bytes < 9 * MIB
    assert second.usage.written_bytes is not None and second.usage.written_bytes < MIB
    assert first.usage.peak_memory is not None and second.usage.peak_memory is not None
    assert second.usage.peak_memory - first.usage.peak_memory >= 24 * MIB


def test_a_block_that_fails_is_measured() -> None:
    with pytest.raises(ValueError, match="stop"), measured() as measurement:
        raise ValueError("stop")
    assert measurement.usage is not None and measurement.usage.cpu_seconds >= 0
