"""The type of the `beam` section: where Beam steps run."""

from typing import Any, Literal

from pydantic import Field

from hubline.core.config_base import Section

# Naming any image keeps TFX from building a package of itself for workers, which takes seconds in every Beam step. None
# of the other runners reads the image.
_NO_IMAGE = "--sdk_container_image=none"

IN_ONE_PROCESS = ("--direct_running_mode=in_memory", "--direct_num_workers=1", _NO_IMAGE)
"""Beam arguments of pipelines that run in the step's own process."""

MIN_BYTES = "hubline_min_bytes"
"""Our own Beam option: the value of `min_bytes`."""

_DEFAULT_MIN_BYTES = 256 * 2**20

Value = str | int | float | bool


class Beam(Section):
    """Where steps that use Beam run: in their own process or on a cluster. Results and cache keys don't depend on it.

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
    """Maximum number of parallel workers; no more take part than there are shards. With `DirectRunner`, number of
    processes, which are started once and kept for the run."""
    min_bytes: int = Field(default=_DEFAULT_MIN_BYTES, ge=0)
    """Smaller data is processed in the step's own process, because starting workers takes longer; default: 256 MiB of
    a table for its statistics, and as much other data as takes as long (docs/beam.md). With `0`, workers process all
    data."""
    volumes: tuple[str, ...] = Field(default=(), examples=[["/mnt/shared"]])
    """Folders that all workers mount at the same path as the steps."""
    options: dict[str, Value] = Field(default={}, examples=[{"region": "europe-west4"}])
    """Further options of the runner, by name without leading dashes."""

    @property
    def in_step(self) -> bool:
        """Whether workers see the step's local files."""
        return self.runner == "DirectRunner" or self.environment == "LOOPBACK"

    @property
    def address(self) -> str | None:
        """Address of the engine, if it has one: of its job server, or of Flink's REST API."""
        master = self.options.get("flink_master") if self.runner == "FlinkRunner" else None
        return self.job_endpoint or (None if master is None or str(master).startswith("[") else str(master))

    def arguments(self) -> list[str]:
        """Command-line arguments for Beam pipelines."""
        min_bytes = f"--{MIN_BYTES}={self.min_bytes}"
        if self.runner == "DirectRunner":
            if self.workers is None or self.workers == 1:
                return [*IN_ONE_PROCESS, *self._others()]
            return [*in_processes(self.workers), min_bytes, *self._others()]
        options: dict[str, Any] = {
            "runner": self.runner,
            "job_endpoint": self.job_endpoint,
            "environment_type": self.environment,
            "environment_config": self.environment_config,
            _PARALLEL.get(self.runner, "sdk_worker_parallelism"): self.workers,
        }
        # Beam's default of 60 seconds also limits how long a job may take.
        timeout = [] if "job_server_timeout" in self.options else ["--job_server_timeout=604800"]
        if self.runner == "SparkRunner" and _KEPT not in self.options:
            timeout.append(f"--{_KEPT}=600000")
        flags = [*(f"--{name}={value}" for name, value in options.items() if value is not None), *timeout]
        image = {"DOCKER": f"--sdk_container_image={self.environment_config}"}.get(self.environment or "", _NO_IMAGE)
        images = [] if self.runner == "DataflowRunner" else [image]
        return [*flags, _PLUGIN, min_bytes, *images, *self._others()]

    def _others(self) -> list[str]:
        flags = {name: value for name, value in self.options.items() if value is not False}
        return [f"--{name}" if value is True else f"--{name}={value}" for name, value in flags.items()]


def in_processes(workers: int) -> list[str]:
    """Arguments for work in several processes of this machine."""
    return [f"--direct_num_workers={workers}", _NO_IMAGE]


_KEPT = "environment_cache_millis"
"""How long Python processes stay after a stage. On Spark, they would otherwise start anew, with TensorFlow, in each."""

_PLUGIN = "--beam_plugins=hubline"
"""Has workers import the package before anything else, which sets what the environment of a process must have."""

_PARALLEL = {"FlinkRunner": "parallelism", "DataflowRunner": "max_num_workers"}
"""The runners' names for the number of workers."""

PARALLEL = ("direct_num_workers", "parallelism", "max_num_workers", "sdk_worker_parallelism")
"""Beam's options for the number of workers."""
