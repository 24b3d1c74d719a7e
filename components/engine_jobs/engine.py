"""An engine by its Beam arguments."""

import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from apache_beam.options.pipeline_options import FlinkRunnerOptions, GoogleCloudOptions, PipelineOptions

from hubline.components.engine_jobs.flink import Flink


@dataclass(frozen=True)
class Engine:
    """Where jobs run."""

    arguments: tuple[str, ...]
    """Beam arguments."""

    @classmethod
    def of(cls, arguments: Sequence[str]) -> "Engine | None":
        """The engine that arguments name; None if a pipeline runs on this machine, in the step or beside it."""
        engine = cls(tuple(arguments))
        return None if engine.runner in (None, "DirectRunner") else engine

    @cached_property
    def _all(self) -> dict[str, Any]:
        return dict(PipelineOptions(list(self.arguments)).get_all_options())

    @property
    def runner(self) -> str | None:
        return self._all["runner"]

    @property
    def endpoint(self) -> str | None:
        """Address of the job server; None if Beam starts one, or needs none."""
        return self._all["job_endpoint"]

    @property
    def environment(self) -> str | None:
        """How workers start."""
        return self._all["environment_type"]

    @property
    def pool(self) -> str | None:
        """Address of the worker service, for EXTERNAL."""
        return self._all["environment_config"] if self.environment == "EXTERNAL" else None

    @property
    def workers(self) -> str:
        """The key of the pipeline file that says how workers start, and its value."""
        if config := self._all["environment_config"]:
            return f"beam.environment_config: {config}"
        return f"beam.environment: {self.environment}"

    @property
    def address(self) -> str:
        """The key of the pipeline file that names the engine, and its value."""
        if self.endpoint:
            return f"beam.job_endpoint: {self.endpoint}"
        return f"beam.options.flink_master: {self.flink.url}" if self.flink else f"beam.runner: {self.runner}"

    @cached_property
    def flink(self) -> Flink | None:
        """Flink's REST API, if the arguments name it."""
        options = PipelineOptions(list(self.arguments)).view_as(FlinkRunnerOptions)
        if self.runner != "FlinkRunner" or options.flink_master.startswith("["):
            return None
        return Flink(options.flink_master)

    def new_job(self, name: str) -> str:
        """A unique name for a job: the given one, after `options.job_name` or "hubline"."""
        given = PipelineOptions(list(self.arguments)).view_as(GoogleCloudOptions).job_name or "hubline"
        return re.sub(r"[^a-z0-9]+", "-", f"{given} {name} {uuid.uuid4().hex[:8]}".lower())
