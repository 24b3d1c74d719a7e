"""A lease on a serving folder in an object store, which has no atomic rename.

A process that wants the lease writes a claim and then lists all claims. If its claim is the only one, it holds the
lease; otherwise it withdraws the claim and retries later. Of two claimants, the one that lists last sees both claims,
so two never hold the lease at once. This requires strongly consistent listings, which Google Cloud Storage and S3
provide, but no conditional writes, which some servers lack. Where a store has them, `push` uses them as well, so even a
process that was held up never replaces another's file.

Claims of processes that have ended, and claims not renewed for `SECONDS`, are ignored. Ages are differences between
timestamps of the store, so the clocks of the machines may differ. A holder that is held up for half of `SECONDS` gives
up the lease by itself.
"""

import logging
import random
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from hubline.core import interruption, storage
from hubline.core.config_base import Section
from hubline.core.errors import RunError
from hubline.serving.owner import Owner

_LOGGER = logging.getLogger(__name__)
CLAIMS = ".pushing"
"""Folder of claims. TensorFlow Serving ignores it, because its name is not an integer."""
SECONDS = 600.0
_RENEWALS = 10
LONGEST_PAUSE_SECONDS = 2.0


class Claim(Section):
    owner: Owner
    version: str | None = None
    """Path of the version that the owner is writing."""


class Lease:
    """The exclusive right to write into a serving folder."""

    def __init__(self, destination: str) -> None:
        self._claims = f"{destination.rstrip('/')}/{CLAIMS}"
        self._path = f"{self._claims}/{uuid.uuid4().hex}"
        self._claim = Claim(owner=Owner.me())
        self._renewed = 0.0
        self._lock = threading.RLock()

    def try_to_take(self) -> bool:
        """Takes the lease; returns False if another process has a claim."""
        self._write()
        if any(not self._is_abandoned(path) for path in self._others()):
            storage.remove(self._path)
            return False
        return True

    def clear(self) -> None:
        """Removes the claims of dead processes, and the unfinished versions that the claims name."""
        for path in self._others():
            if self._is_abandoned(path):
                claim = _read(path)
                if claim and claim.version and not storage.exists(f"{claim.version}/saved_model.pb"):
                    storage.remove_files_below(claim.version)
                storage.remove(path)

    def announce(self, version: str) -> None:
        """Records in the claim which version is being written."""
        self._claim = Claim(owner=self._claim.owner, version=version)
        self._write()

    def renew(self) -> None:
        """Renews the claim.

        Raises:
            RunError: if the claim is so old that another process may have taken the lease.
        """
        with self._lock:
            if not self.is_ours:
                raise RunError(f"{self._claims}: this push was interrupted for too long; nothing was pushed; run again")
            self._write()

    @property
    def is_ours(self) -> bool:
        """Whether the claim exists and was renewed recently enough that no other process treats it as abandoned."""
        return time.monotonic() - self._renewed < SECONDS / 2 and storage.exists(self._path)

    def release(self) -> None:
        """Releases the lease. A claim that is too old stays, so that the next holder knows what to clean up."""
        with self._lock, suppress(Exception):  # a claim that cannot be removed expires
            if self.is_ours:
                storage.remove(self._path)
            self._renewed = float("-inf")

    def _write(self) -> None:
        with self._lock:
            began = time.monotonic()
            storage.write_bytes(self._path, self._claim.to_property().encode())
            self._renewed = began

    def _others(self) -> list[str]:
        return [path for name in storage.names(self._claims) if (path := f"{self._claims}/{name}") != self._path]

    def _is_abandoned(self, path: str) -> bool:
        claim = _read(path)
        if claim and claim.owner.is_dead:
            return True
        try:
            return storage.stat(self._path).modified - storage.stat(path).modified > SECONDS * 1e9
        except Exception:  # withdrawn meanwhile; the error depends on the file system
            return False


@contextmanager
def leased(destination: str) -> Iterator[Lease]:
    """Waits for the lease on a serving folder, and holds it until the block ends."""
    lease, pause = Lease(destination), 0.05
    while not lease.try_to_take():
        _LOGGER.info("%s: waiting for another push", destination)
        time.sleep(random.uniform(0, pause))
        pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
        interruption.check()
    ended = threading.Event()
    thread = threading.Thread(target=keep_renewing, args=(lease, ended), daemon=True)
    thread.start()
    try:
        lease.clear()
        yield lease
    finally:
        ended.set()
        lease.release()


def keep_renewing(lease: Lease, ended: threading.Event) -> None:
    while not ended.wait(SECONDS / _RENEWALS):
        try:
            lease.renew()
        except Exception as error:  # a store that can't be reached now may be back at the next renewal
            _LOGGER.warning("the lease was not renewed: %s", error)


def _read(path: str) -> Claim | None:
    try:
        with storage.open_binary(path) as file:
            return Claim.model_validate_json(file.read())
    except Exception:  # withdrawn meanwhile, or only partly written
        return None
