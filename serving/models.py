"""The versions of a model that a server answers with, followed as they change in the serving folder."""

import asyncio
import gc
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from hubline.core import storage
from hubline.core.errors import UserError
from hubline.serving.errors import Code, RequestError, not_found
from hubline.serving.metrics import Metrics
from hubline.serving.model import Model
from hubline.serving.policy import VersionPolicy
from hubline.serving.versions import version_number, versions

State = Literal["LOADING", "AVAILABLE", "END"]

_MOST_TRIES = 5
_LOGGER = logging.getLogger(__name__)


@dataclass
class Status:
    """The state of a version."""

    state: State
    error: str = ""
    tries: int = 0


class Models:
    """The versions of one model."""

    def __init__(
        self, name: str, folder: str, policy: VersionPolicy, labels: Mapping[str, int], metrics: Metrics
    ) -> None:
        """Loads nothing before `refresh`.

        Args:
            name: Name of the model in requests.
            folder: A serving folder, or a single version.
            policy: Which versions to serve.
            labels: Versions by label.
            metrics: Counts loaded versions.
        """
        self.name, self._folder, self._policy, self._labels, self._metrics = name, folder, policy, labels, metrics
        self._loaded: dict[int, Model] = {}
        self.statuses: dict[int, Status] = {}

    def get(self, version: int | None = None, label: str = "") -> Model:
        """A loaded version; the newest if no version and no label is given.

        Raises:
            RequestError: if it isn't served.
        """
        if label:
            if label not in self._labels:
                raise not_found(f"model {self.name} has no version with the label '{label}'")
            version = self._labels[label]
        if not self._loaded:
            raise RequestError(Code.UNAVAILABLE, f"no version of model {self.name} is loaded")
        chosen = max(self._loaded) if version is None else version
        if chosen not in self._loaded:
            raise not_found(f"version {chosen} of model {self.name} isn't served")
        return self._loaded[chosen]

    @property
    def is_available(self) -> bool:
        """Whether a version answers."""
        return bool(self._loaded)

    def why_none(self) -> str:
        """Why no version answers: the errors of those that were tried, or which versions there are."""
        errors = [status.error for status in self.statuses.values() if status.error]
        asked, there = (", ".join(map(str, sorted(numbers))) for numbers in (self._policy.fixed, self._paths()))
        return "\n".join(errors) or f"{self._folder}: there is no version {asked}, only {there}"

    async def follow(self, seconds: float) -> None:
        """Looks for other versions again and again."""
        while True:
            await asyncio.sleep(seconds)
            try:
                await self.refresh()
            except (OSError, UserError) as error:  # a store that can't be reached for a while
                _LOGGER.warning("%s: can't look for versions: %s", self._folder, error)

    async def refresh(self) -> None:
        """Loads new versions, and drops those that are no longer wanted once there is one to answer instead.

        A version that can't be loaded is left out, so that the newest that can is served. Requests that run on a
        dropped version hold it until they are answered.
        """
        paths = await asyncio.to_thread(self._paths)
        usable, failed = sorted(paths), [-1]
        while failed:
            wanted = self._policy.choose(usable)
            failed = [each for each in wanted if each not in self._loaded and not await self._load(each, paths[each])]
            usable = [each for each in usable if each not in failed]
        if wanted:
            for version in set(self._loaded) - set(wanted):
                self._drop(version)

    def _paths(self) -> dict[int, str]:
        """Path of each version in the folder. The number of a single version is the name of its folder, or 1."""
        folder = self._folder.rstrip("/")
        if storage.exists(f"{folder}/saved_model.pb"):
            return {version_number(folder.rpartition("/")[2]) or 1: folder}
        return {int(name): f"{folder}/{name}" for name in versions(folder)}

    async def _load(self, version: int, path: str) -> bool:
        """Loads a version; returns whether it answers. After some tries, it isn't tried again."""
        status = self.statuses.setdefault(version, Status("LOADING"))
        if status.tries == _MOST_TRIES:
            return False
        status.state, status.tries = "LOADING", status.tries + 1
        try:
            model = await asyncio.to_thread(Model.load, path, version)
        except Exception as error:  # whatever a broken version raises, the others go on answering
            status.state, status.error = "END", str(error)
            self._metrics.loads.labels(self.name, "failed").inc()
            _LOGGER.error("version %d of model %s can't be loaded: %s", version, self.name, error)
            return False
        self._loaded[version] = model
        self.statuses[version] = Status("AVAILABLE")
        self._metrics.loads.labels(self.name, "loaded").inc()
        self._metrics.version.labels(self.name, str(version)).set(1)
        _LOGGER.info("version %d of model %s answers", version, self.name)
        return True

    def _drop(self, version: int) -> None:
        del self._loaded[version]
        self.statuses[version] = Status("END")
        self._metrics.version.remove(self.name, str(version))
        gc.collect()  # models contain cycles
        _LOGGER.info("version %d of model %s is unloaded", version, self.name)
