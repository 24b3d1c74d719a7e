"""A lease on a serving folder in an object store, where no rename is atomic.

Who wants the lease writes a claim and then lists all claims. Alone, the claimant holds the lease; otherwise it
withdraws and tries again later. Of two claimants, the one that lists last sees both claims, so two never hold the
lease. This needs listings that show all that was written before, as those of Google Cloud Storage and S3 do, but no
conditional writes, which TensorFlow's file systems lack.

Claims of processes that have ended, and claims that were not renewed for `SECONDS`, count for nothing. Ages are
differences between the store's own times, so the clocks of machines may differ. A holder that was held up for half of
`SECONDS` gives up by itself.
"""

import logging
import random
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from hubline.components.pusher.owner import Owner
from hubline.core import interruption, storage
from hubline.core.config_base import Section
from hubline.core.errors import RunError

_LOGGER = logging.getLogger(__name__)
CLAIMS = ".pushing"
"""The folder of claims; TensorFlow Serving looks at folders named by integers alone."""
SECONDS = 600.0
_RENEWALS = 10
LONGEST_PAUSE_SECONDS = 2.0


class Claim(Section):
    """What a claim says of its owner."""

    owner: Owner
    version: str | None = None
    """The path that is being written."""


class Lease:
    """The right to write into a serving folder."""

    def __init__(self, destination: str) -> None:
        self._claims = f"{destination.rstrip('/')}/{CLAIMS}"
        self._path = f"{self._claims}/{uuid.uuid4().hex}"
        self._claim = Claim(owner=Owner.me())
        self._renewed = 0.0
        self._lock = threading.RLock()

    def try_to_take(self) -> bool:
        """Takes the lease, unless another process has a claim."""
        self._write()
        if any(not self._is_abandoned(path) for path in self._others()):
            storage.remove(self._path)
            return False
        return True

    def clear(self) -> None:
        """Removes the claims of dead processes, and the unfinished versions that they name."""
        for path in self._others():
            if self._is_abandoned(path):
                claim = _read(path)
                if claim and claim.version and not storage.exists(f"{claim.version}/saved_model.pb"):
                    storage.remove_files_below(claim.version)
                storage.remove(path)

    def announce(self, version: str) -> None:
        """Says in the claim which version is being written."""
        self._claim = Claim(owner=self._claim.owner, version=version)
        self._write()

    def renew(self) -> None:
        """Renews the claim.

        Raises:
            RunError: where it is too old to be trusted.
        """
        with self._lock:
            if not self.is_ours:
                raise RunError(f"{self._claims}: this push was held up for too long, and nothing was pushed; run again")
            self._write()

    @property
    def is_ours(self) -> bool:
        """Whether the claim is there, and was renewed lately enough that nobody takes it for abandoned."""
        return time.monotonic() - self._renewed < SECONDS / 2 and storage.exists(self._path)

    def release(self) -> None:
        """Lets others in. A claim that is too old stays, and says to the next holder what to clear away."""
        with self._lock, suppress(Exception):  # a claim that cannot be removed ends by its age
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
        except Exception:  # withdrawn meanwhile, for which each file system raises its own; the next try finds it gone
            return False


@contextmanager
def leased(destination: str) -> Iterator[Lease]:
    """Waits for the lease on a serving folder, and keeps it until the block ends."""
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
        except Exception as error:  # too old is for good; an object store may be there again the next time
            _LOGGER.warning("the lease was not renewed: %s", error)


def _read(path: str) -> Claim | None:
    try:
        with storage.open_binary(path) as file:
            return Claim.model_validate_json(file.read())
    except Exception:  # withdrawn meanwhile, or not written whole
        return None
