"""Invariants of all full runs, and two logical CPU devices."""

from hubline.trainer import devices
from hubline.trainer.config.devices import Devices
from tests.support.users_files import the_users_files_stay_as_they_are

__all__ = ["the_users_files_stay_as_they_are"]

# TensorFlow makes several devices of a CPU only at its start, before any module of tests uses it. They change nothing
# for a training on one device.
devices.prepare(Devices(device="cpu", count=2))
