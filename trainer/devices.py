"""The devices that a training uses: chosen, checked, and prepared."""

import logging
import subprocess
from functools import cache

import tensorflow as tf

from hubline.core.errors import RunError, UserError
from hubline.trainer.config.devices import Devices
from hubline.trainer.replicas import MirroredStrategy, MultiWorkerMirroredStrategy
from hubline.trainer.training_notes import Note

_LOGGER = logging.getLogger(__name__)

_KEY = "training.devices"
_PLAIN = "training on one CPU, float32"


def check(devices: Devices) -> None:
    """Checks that the GPUs that were asked for are there; starts no device.

    Raises:
        RunError: if they aren't.
    """
    if devices.wants_gpu:
        found, wanted = len(tf.config.list_physical_devices("GPU")), _last_gpu(devices) + 1
        if found < wanted:
            there = f"TensorFlow sees {found or 'none'}"
            key = "count" if devices.count is not None else "device" if devices.device else "gpu_memory"
            raise RunError(
                f"{_KEY}.{key}: the training needs {wanted} GPU{'s' * (wanted > 1)} on this machine, and {there}; "
                "check the driver, CUDA_VISIBLE_DEVICES and TensorFlow's CUDA libraries, or train with `device: cpu`"
            )


def _last_gpu(devices: Devices) -> int:
    """The highest number of a GPU that was asked for."""
    _, _, number = (devices.device or "").partition(":")
    return int(number) if number else (devices.count or 1) - 1


def check_workers(devices: Devices, workers: int) -> None:
    """Checks that workers on this machine would not compete for its GPUs, whose memory this process may have taken.

    Raises:
        UserError: if they would.
    """
    if workers > 1 and devices.device != "cpu" and tf.config.list_physical_devices("GPU"):
        raise UserError(
            "training.workers: on a machine with GPUs, set `workers: 1` and training.devices.count for its GPUs; "
            "or let the workers train on the CPU with `training.devices: {device: cpu}`"
        )


def start_worker(devices: Devices, workers: int) -> None:
    """Connects this process with the other workers, before TensorFlow does anything else.

    Raises:
        UserError: if a device isn't there.
    """
    check(devices)
    prepare(devices)
    strategy(devices, workers)


def prepare(devices: Devices) -> None:
    """Applies the settings that TensorFlow takes only at its start; the same settings again change nothing.

    Raises:
        UserError: if TensorFlow has started already, or a GPU's memory is not known.
    """
    if devices.is_set_at_start:
        _prepare(devices.model_copy(update={"precision": "float32", "jit_compile": False, "soft_placement": True}))


@cache
def _prepare(devices: Devices) -> None:
    try:
        tf.debugging.set_log_device_placement(devices.log_device_placement)
        if devices.device == "cpu" and devices.count:
            (cpu,) = tf.config.list_physical_devices("CPU")
            parts = [tf.config.LogicalDeviceConfiguration() for _ in range(devices.count)]
            tf.config.set_logical_device_configuration(cpu, parts)
        if devices.gpu_memory is not None:
            _limit(_chosen(devices), devices.gpu_memory)
    except RuntimeError as error:
        raise UserError(f"{_KEY}: {error}; such settings take effect only before TensorFlow has started") from error


def _chosen(devices: Devices) -> list[tf.config.PhysicalDevice]:
    gpus = tf.config.list_physical_devices("GPU")
    if (devices.device or "").startswith("gpu:"):
        return [gpus[_last_gpu(devices)]]
    return gpus[: devices.count]


def _limit(gpus: list[tf.config.PhysicalDevice], memory: str | float) -> None:
    for gpu in gpus:
        if isinstance(memory, str):
            tf.config.experimental.set_memory_growth(gpu, True)
        else:
            limit = int(memory * _megabytes(gpu))
            tf.config.set_logical_device_configuration(gpu, [tf.config.LogicalDeviceConfiguration(memory_limit=limit)])


def _megabytes(gpu: tf.config.PhysicalDevice) -> int:
    """Memory of a GPU. TensorFlow doesn't tell before it has taken the memory; its driver's tool does."""
    query = ["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    try:
        told = subprocess.run(query, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        name = tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name)
        raise UserError(
            f"{_KEY}.gpu_memory: a share needs nvidia-smi, which tells the memory of {name}: {error}; install it, or "
            "use `growth`"
        ) from None
    return min(int(line) for line in told.split())


def strategy(devices: Devices, workers: int = 1) -> tf.distribute.Strategy:
    """The strategy for the devices, after `check`: TensorFlow's default for one device of no particular number.

    Args:
        devices: The section.
        workers: Number of workers; the cluster is in `TF_CONFIG`.
    """
    if workers > 1:
        return _of_workers(devices)
    names = _names(devices)
    if len(names) > 1:
        return _mirrored(*names)
    return tf.distribute.OneDeviceStrategy(names[0]) if devices.device else tf.distribute.get_strategy()


@cache
def _of_workers(devices: Devices) -> MultiWorkerMirroredStrategy:
    if tf.config.list_physical_devices("GPU"):  # the strategy takes all GPUs that it sees
        tf.config.set_visible_devices([] if devices.device == "cpu" else _chosen(devices), "GPU")
    return MultiWorkerMirroredStrategy()


@cache
def _mirrored(*names: str) -> MirroredStrategy:
    # TensorFlow numbers the reductions of each strategy from the same number, and confuses those of two strategies.
    return MirroredStrategy(names)


def _names(devices: Devices) -> list[str]:
    if devices.device == "cpu":
        return [f"CPU:{number}" for number in range(devices.count or 1)]
    gpus = tf.config.list_logical_devices("GPU")
    if (devices.device or "").startswith("gpu:") and len(gpus) > 1:
        return [f"GPU:{_last_gpu(devices)}"]
    return [f"GPU:{number}" for number in range(len(gpus))][: devices.count] or ["CPU:0"]


def prepared_strategy(devices: Devices, notes: list[Note], workers: int = 1) -> tf.distribute.Strategy:
    """Checks and prepares the devices, and notes those that are used if they are not one CPU.

    Args:
        devices: The section.
        notes: Receives the note.
        workers: Number of workers; of several, this is one that was started by `start_worker`.
    """
    check(devices)
    prepare(devices)
    tf.config.set_soft_device_placement(devices.soft_placement)
    chosen = strategy(devices, workers)
    text = f"training on {described(devices, chosen, workers)}"
    _LOGGER.info("%s", text)
    if text != _PLAIN:
        notes.append(Note(kind="devices", text=text))
    return chosen


def described(devices: Devices, strategy: tf.distribute.Strategy, workers: int = 1) -> str:
    """The devices in a line, such as `2 GPUs (MirroredStrategy), mixed_float16`."""
    replicas = strategy.num_replicas_in_sync // workers
    kind = "GPU" if "GPU" in _names(devices)[0] else "CPU"
    many = f"{replicas} {kind}s" if replicas > 1 else f"one {kind}"
    if workers > 1:
        many = f"{workers} workers with {many} each"
    many += f" ({type(strategy).__name__})" if replicas * workers > 1 else ""
    return ", ".join([many, devices.precision, *(["XLA"] if devices.jit_compile else [])])
