"""The devices that a training uses: chosen, checked, and prepared."""

import logging
import subprocess
from collections.abc import Callable
from functools import cache

import tensorflow as tf

from hubline.core.errors import RunError, UserError
from hubline.trainer.config.devices import Devices
from hubline.trainer.replicas import MirroredStrategy, MultiWorkerMirroredStrategy
from hubline.trainer.training_notes import Note

_LOGGER = logging.getLogger(__name__)

_KEY = "training.devices"
_PLAIN = "training on one CPU, float32"


class MissingGpuError(RunError):
    """A GPU that was asked for isn't there."""

    def __init__(self, key: str, reason: str) -> None:
        self.key, self.reason = key, reason
        super().__init__(f"{_KEY}.{key}: {reason}")


def check(devices: Devices) -> None:
    """Checks that the GPUs that were asked for are there; starts no device.

    Raises:
        MissingGpuError: if they aren't.
    """
    wanted = devices.least_gpus
    if wanted and (found := len(tf.config.list_physical_devices("GPU"))) < wanted:
        reason = (
            f"the training needs {wanted} GPU{'s' * (wanted > 1)} on this machine, and TensorFlow sees "
            f"{found or 'none'}; check the driver, CUDA_VISIBLE_DEVICES and TensorFlow's CUDA libraries, or train with "
            "`device: cpu`"
        )
        raise MissingGpuError(str(devices.gpu_key), reason)


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


def sharing(devices: Devices) -> Devices:
    """The devices of a process that leaves their memory to other processes."""
    grows = devices.device != "cpu" and devices.gpu_memory is None
    return devices.model_copy(update={"gpu_memory": "growth"}) if grows else devices


def prepare(devices: Devices) -> None:
    """Applies the settings that TensorFlow takes only at its start; the same settings again change nothing.

    Raises:
        UserError: if TensorFlow has started already with others, or a GPU's memory is not known.
    """
    if devices.at_start != Devices():
        prepare_once(devices.at_start)


@cache
def prepare_once(devices: Devices) -> None:
    """Applies settings the first time only."""
    gpus = chosen_gpus(devices)
    try:
        tf.debugging.set_log_device_placement(devices.log_device_placement)
        tf.config.set_visible_devices(gpus, "GPU")  # of every other GPU, TensorFlow would take the memory, too
        if devices.device == "cpu" and devices.count:
            (cpu,) = tf.config.list_physical_devices("CPU")
            parts = [tf.config.LogicalDeviceConfiguration() for _ in range(devices.count)]
            tf.config.set_logical_device_configuration(cpu, parts)
        if devices.gpu_memory is not None:
            _limit(gpus, devices.gpu_memory)
    except RuntimeError as error:
        raise UserError(f"{_KEY}: {error}; such settings take effect only before TensorFlow has started") from error


def chosen_gpus(devices: Devices) -> list[tf.config.PhysicalDevice]:
    """The GPUs that a training uses, after `check`."""
    gpus = tf.config.list_physical_devices("GPU")
    if devices.device == "cpu":
        return []
    return [gpus[devices.least_gpus - 1]] if ":" in (devices.device or "") else gpus[: devices.count]


def _limit(gpus: list[tf.config.PhysicalDevice], memory: str | float) -> None:
    for gpu in gpus:
        if isinstance(memory, str):
            tf.config.experimental.set_memory_growth(gpu, True)
        else:
            limit = int(memory * _megabytes(gpu))
            tf.config.set_logical_device_configuration(gpu, [tf.config.LogicalDeviceConfiguration(memory_limit=limit)])


def _megabytes(gpu: tf.config.PhysicalDevice) -> int:
    """Memory of the machine's smallest GPU. TensorFlow doesn't tell before it has taken the memory; the driver's tool
    does."""
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
    """The strategy for the devices, after `prepare`: TensorFlow's default for one device.

    Args:
        devices: The section.
        workers: Number of workers; the cluster is in `TF_CONFIG`.
    """
    if workers > 1:
        return _of_workers()
    names = _names(devices)
    return mirrored(*names) if len(names) > 1 else tf.distribute.get_strategy()


@cache
def _of_workers() -> MultiWorkerMirroredStrategy:
    return MultiWorkerMirroredStrategy()


@cache
def mirrored(*names: str) -> MirroredStrategy:
    """The strategy on some devices; the same one each time."""
    # TensorFlow numbers the reductions of each strategy from the same number, and confuses those of two strategies.
    return MirroredStrategy(names)


def _names(devices: Devices) -> list[str]:
    """Names of the devices that TensorFlow has made."""
    gpus = len(tf.config.list_logical_devices("GPU"))
    return [f"GPU:{number}" for number in range(gpus)] or [f"CPU:{number}" for number in range(devices.count or 1)]


def prepared_strategy(
    devices: Devices, notes: list[Note], workers: int = 1, can_split: Callable[[], bool] = lambda: True
) -> tf.distribute.Strategy:
    """Checks and prepares the devices, and notes those that are used if they are not one CPU.

    Args:
        devices: The section.
        notes: Receives the note.
        workers: Number of workers; of several, this is one that was started by `start_worker`.
        can_split: Tells whether the training can run on several devices. If it can't, one of several GPUs is used,
            unless the section has their number.

    Raises:
        MissingGpuError: if a GPU that was asked for isn't there.
        UserError: if TensorFlow has started already with other settings.
    """
    check(devices)
    prepare(devices)
    tf.config.set_soft_device_placement(devices.soft_placement)
    there = len(_names(devices))
    if workers == 1 and there > 1 and devices.count is None and not can_split():
        chosen = tf.distribute.get_strategy()
    else:
        chosen = strategy(devices, workers)
    text = f"training on {_described(devices, chosen, there, workers)}"
    _LOGGER.info("%s", text)
    if text != _PLAIN:
        notes.append(Note(kind="devices", text=text))
    return chosen


def _described(devices: Devices, strategy: tf.distribute.Strategy, there: int, workers: int) -> str:
    """The devices in a line, such as `2 GPUs (MirroredStrategy), mixed_float16`."""
    replicas, kind = strategy.num_replicas_in_sync // workers, _names(devices)[0].partition(":")[0]
    many = f"{replicas} {kind}s" if replicas > 1 else f"one {kind}"
    if there > replicas:
        many += f" of {there}"
    if workers > 1:
        many = f"{workers} workers with {many} each"
    if replicas * workers > 1:
        many += f" ({type(strategy).__name__})"
    return ", ".join([many, devices.precision, *(["XLA"] if devices.jit_compile else [])])


def of_process(devices: Devices, number: int) -> Devices:
    """The devices of one of several processes that train at once: one GPU each, in turn, or the CPU."""
    gpus = chosen_gpus(devices)
    if not gpus:
        return devices.model_copy(update={"count": None})
    of_machine = tf.config.list_physical_devices("GPU").index(gpus[number % len(gpus)])
    memory = devices.gpu_memory or "growth"  # all of it would leave none to the next process on the same GPU
    return devices.model_copy(update={"device": f"gpu:{of_machine}", "count": None, "gpu_memory": memory})
