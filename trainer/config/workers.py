"""Rules of `training.workers`."""

from collections.abc import Iterator

from hubline.core.config_errors import PlacedError
from hubline.trainer.config.devices import Devices


def worker_errors(workers: int, batch_size: int, devices: Devices) -> Iterator[PlacedError]:
    """Errors of the section `training` that come from its number of workers."""
    if workers == 1:
        return
    if batch_size % workers:
        most = max(number for number in range(1, min(workers, batch_size) + 1) if batch_size % number == 0)
        yield (
            ("workers",),
            f"each batch of {batch_size} is split evenly among the workers, and {workers} doesn't divide it; use "
            f"`workers: {most}`, or another batch_size",
        )
    if devices.jit_compile:
        yield ("devices", "jit_compile"), "XLA compiles the steps of one worker only; leave it out, or set `workers: 1`"
    if devices.device == "cpu" and (devices.count or 1) > 1:
        yield ("devices", "count"), "each of several workers has one CPU device; leave count out, or set `workers: 1`"
