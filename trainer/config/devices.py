"""Types of the section `training.devices`."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BeforeValidator, Field, model_validator

from hubline.core.config_base import Section
from hubline.core.config_errors import PlacedError, raise_placed


def _growth_or_share(value: Any) -> Any:
    if value == "growth" or (isinstance(value, int | float) and 0.0 < value < 1.0):
        return value
    raise ValueError(f"must be `growth`, or a share of the memory between 0 and 1, such as 0.5; got {value!r}")


GpuMemory: TypeAlias = Annotated[
    Literal["growth"] | Annotated[float, Field(gt=0.0, lt=1.0)], BeforeValidator(_growth_or_share)
]


class Devices(Section):
    """The devices of a training, and how they compute."""

    device: str | None = Field(default=None, pattern=r"^(cpu|gpu(:[0-9]{1,2})?)$", examples=["gpu", "gpu:1", "cpu"])
    """Where to train: `gpu`, one GPU by its number such as `gpu:1`, or `cpu`. A GPU that isn't there is an error.
    Default: all visible GPUs, or else the CPU."""
    count: int | None = Field(default=None, ge=1, le=64, examples=[2])
    """Number of GPUs for each worker; the batch is split among them (MirroredStrategy). Default: all visible ones. With
    `device: cpu`, TensorFlow makes several devices of the CPU, which tests a training for several GPUs."""
    precision: Literal["float32", "mixed_float16", "mixed_bfloat16"] = "float32"
    """Keras' policy for the head and the backbones: `mixed_*` computes in 16 bits and keeps the weights in 32. Hub
    modules compute as they were saved, and the exported model computes in float32."""
    jit_compile: bool = False
    """Whether to compile training steps with XLA. On one device per worker only."""
    gpu_memory: GpuMemory | None = Field(default=None, examples=["growth", 0.5])
    """Memory that TensorFlow takes on each GPU: what it needs as it grows (`growth`), or a share of the GPU's. Default:
    all of it."""
    soft_placement: bool = True
    """Whether operations without an implementation for the device run on the CPU instead of failing."""
    log_device_placement: bool = False
    """Whether to log the device of every operation."""

    @model_validator(mode="after")
    def _fit(self) -> "Devices":
        raise_placed("Devices", self._errors())
        return self

    def _errors(self) -> Iterator[PlacedError]:
        of_cpu = self.device == "cpu"
        if (self.device or "").startswith("gpu:") and (self.count or 1) > 1:
            yield ("count",), f"`device: {self.device}` is one GPU; set `device: gpu` for several, or leave count out"
        if of_cpu and self.gpu_memory is not None:
            yield ("gpu_memory",), "there is no GPU memory with `device: cpu`; leave one of them out"
        if self.jit_compile and (self.count or 1) > 1:
            yield ("jit_compile",), "XLA compiles steps on one device; set `count: 1`, or leave jit_compile out"

    @property
    def least_gpus(self) -> int:
        """Number of GPUs without which training is an error."""
        if self.device == "cpu" or self.gpu_key is None:
            return 0
        _, _, number = (self.device or "").partition(":")
        return int(number) + 1 if number else self.count or 1

    @property
    def gpu_key(self) -> str | None:
        """The key that asks for GPUs, unless `device` is `cpu`."""
        return next((key for key in ("count", "device", "gpu_memory") if getattr(self, key) is not None), None)

    @property
    def at_start(self) -> "Devices":
        """The settings that take effect only when TensorFlow starts; the others have their defaults."""
        settings = {key: getattr(self, key) for key in ("device", "count", "gpu_memory", "log_device_placement")}
        return Devices.model_construct(**settings)
