"""The type of the `beam` section: where Beam steps run."""

from typing import Any, Literal

from pydantic import Field, model_validator

from hubline.core.config_base import Section

# Naming any image keeps TFX from building a package of itself for workers, which takes seconds in every Beam step. None
# of these runners reads the image.
_NO_IMAGE = "--sdk_container_image=none"

IN_ONE_PROCESS = ("--direct_running_mode=in_memory", "--direct_num_workers=1", _NO_IMAGE)
"""Beam arguments of pipelines that run in the step's own process."""

Value = str | int | float | bool


class Beam(Section):
    """Where steps that use Beam run: in their own process or on a cluster.

    See https://beam.apache.org/documentation/runtime/sdk-harness-config/ for the worker options.
    """

    runner: Literal["DirectRunner", "PortableRunner", "FlinkRunner", "SparkRunner", "DataflowRunner"] = "DirectRunner"
    """The Beam runner. `DirectRunner` runs in the step's own process."""
    job_endpoint: str | None = Field(default=None, pattern=r"^[^\s/]+:\d+$", examples=["flink-jobserver:8099"])
    """Host and port of the runner's job server."""
    environment: Literal["DOCKER", "PROCESS", "EXTERNAL", "LOOPBACK"] | None = None
    """How workers start: DOCKER in a container image, PROCESS by a command, EXTERNAL by a worker service, LOOPBACK in
    the step's own process."""
    environment_config: str | None = Field(default=None, examples=["registry.example/hubline-worker@sha256:…"])
    """The image, command or address that `environment` needs."""
    workers: int | None = Field(default=None, ge=1)
    """Number of parallel workers. With `DirectRunner`, number of processes."""
    options: dict[str, Value] = Field(default={}, examples=[{"region": "europe-west4"}])
    """Further options of the runner, by name without leading dashes."""

    @model_validator(mode="after")
    def _fits_the_runner(self) -> "Beam":
        if self.runner == "PortableRunner" and self.job_endpoint is None:
            raise ValueError("PortableRunner requires job_endpoint, the host and port of a job server")
        of_engines = [name for name in ("job_endpoint", "environment", "environment_config") if getattr(self, name)]
        if self.runner == "DirectRunner" and of_engines:
            raise ValueError(
                f"DirectRunner runs in the step's process and takes no {of_engines[0]}; set another runner"
            )
        if self.environment_config is None and self.environment in ("PROCESS", "EXTERNAL"):
            raise ValueError(f"environment {self.environment} requires environment_config: the command or the address")
        if clash := sorted(self.options.keys() & _OWN.keys()):
            raise ValueError(f"options.{clash[0]}: set it as {_OWN[clash[0]]}")
        return self

    @property
    def in_step(self) -> bool:
        """Whether workers see the step's local files."""
        return self.runner == "DirectRunner" or self.environment == "LOOPBACK"

    def arguments(self) -> list[str]:
        """Command-line arguments for Beam pipelines."""
        if self.runner == "DirectRunner":
            return [*self._direct(), *self._others()]
        options: dict[str, Any] = {
            "runner": self.runner,
            "job_endpoint": self.job_endpoint,
            "environment_type": self.environment,
            "environment_config": self.environment_config,
            _PARALLEL.get(self.runner, "sdk_worker_parallelism"): self.workers,
        }
        # Beam's default of 60 seconds also limits how long a job may take.
        timeout = [] if "job_server_timeout" in self.options else ["--job_server_timeout=604800"]
        flags = [*(f"--{name}={value}" for name, value in options.items() if value is not None), *timeout]
        brings_image = self.environment in (None, "DOCKER")
        return [*flags, *([] if brings_image else [_NO_IMAGE]), *self._others()]

    def _direct(self) -> list[str]:
        if self.workers is None:
            return list(IN_ONE_PROCESS)
        return ["--direct_running_mode=multi_processing", f"--direct_num_workers={self.workers}", _NO_IMAGE]

    def _others(self) -> list[str]:
        flags = {name: value for name, value in self.options.items() if value is not False}
        return [f"--{name}" if value is True else f"--{name}={value}" for name, value in flags.items()]


_OWN = {
    "runner": "runner",
    "job_endpoint": "job_endpoint",
    "environment_type": "environment",
    "environment_config": "environment_config",
    "direct_num_workers": "workers",
    "sdk_worker_parallelism": "workers",
}
"""Beam options that have a key of their own."""

_PARALLEL = {"FlinkRunner": "parallelism", "DataflowRunner": "num_workers"}
"""The runners' names for the number of workers."""
