"""The section `training.devices`, and what it does on a machine with GPUs, whose TensorFlow is simulated."""

import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import tensorflow as tf

from hubline.core.errors import UserError
from hubline.trainer import devices
from hubline.trainer.config.devices import Devices
from hubline.trainer.training_notes import Note
from hubline.trainer.xla import explaining_xla
from tests.support.pipeline_files import GOOD, diagnostics


class Machine:
    """Four GPUs of TensorFlow that hasn't started."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.gpus = [SimpleNamespace(name=f"/physical_device:GPU:{number}") for number in range(4)]
        self.visible = self.gpus
        self.growing: list[Any] = []
        self.limits: dict[str, int] = {}
        devices.prepare_once.cache_clear()
        config = SimpleNamespace(
            list_physical_devices=lambda kind: self.gpus if kind == "GPU" else [],
            list_logical_devices=lambda kind: self.visible if kind == "GPU" else [],
            set_visible_devices=lambda gpus, kind: setattr(self, "visible", gpus),
            set_soft_device_placement=lambda on: None,
            set_logical_device_configuration=self._limit,
            LogicalDeviceConfiguration=SimpleNamespace,
            experimental=SimpleNamespace(
                set_memory_growth=lambda gpu, on: self.growing.append(gpu),
                get_device_details=lambda gpu: {"device_name": "A100"},
            ),
        )
        monkeypatch.setattr(tf, "config", config)
        monkeypatch.setattr(devices, "mirrored", lambda *names: SimpleNamespace(num_replicas_in_sync=len(names)))

    def _limit(self, gpu: Any, parts: list[Any]) -> None:
        (part,) = parts
        self.limits[gpu.name] = part.memory_limit


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


@pytest.mark.parametrize(
    ("described", "used", "told"),
    [
        ({}, [0, 1, 2, 3], "4 GPUs (SimpleNamespace), float32"),
        ({"device": "gpu", "precision": "mixed_float16"}, [0, 1, 2, 3], "4 GPUs (SimpleNamespace), mixed_float16"),
        ({"count": 2}, [0, 1], "2 GPUs (SimpleNamespace), float32"),
        ({"count": 1, "jit_compile": True}, [0], "one GPU, float32, XLA"),
        ({"device": "gpu:2"}, [2], "one GPU, float32"),
        ({"device": "cpu"}, [], "one CPU, float32"),
    ],
)
def test_gpus_that_are_not_used_stay_free(
    machine: Machine, described: dict[str, Any], used: list[int], told: str
) -> None:
    notes: list[Note] = []
    devices.prepared_strategy(Devices.model_validate(described), notes)
    assert machine.visible == [machine.gpus[number] for number in used]
    assert [note.text for note in notes] == ([] if told == "one CPU, float32" else [f"training on {told}"])


def test_a_training_that_can_not_be_split_uses_one_of_several_gpus(machine: Machine) -> None:
    notes: list[Note] = []
    chosen = devices.prepared_strategy(Devices(), notes, can_split=lambda: False)
    assert chosen.num_replicas_in_sync == 1
    assert [note.text for note in notes] == ["training on one GPU of 4, float32"]


def test_memory_of_gpus_grows_or_is_a_share(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    devices.prepare(Devices(count=2, gpu_memory="growth"))
    assert machine.growing == machine.gpus[:2] and not machine.limits
    told = subprocess.CompletedProcess([], 0, stdout="40960\n81920\n40960\n40960\n")
    monkeypatch.setattr(subprocess, "run", lambda *command, **options: told)
    devices.prepare(Devices(device="gpu:1", gpu_memory=0.25))
    assert machine.limits == {"/physical_device:GPU:1": 10240}


def test_a_share_of_a_memory_that_is_not_known_is_refused(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UserError, match=r"gpu_memory: a share needs nvidia-smi, which tells the memory of A100: .*"):
        devices.prepare(Devices(gpu_memory=0.5))


def test_processes_that_train_at_once_have_one_gpu_each(machine: Machine) -> None:
    def each(processes: int, **described: Any) -> list[tuple[str | None, Any]]:
        shares = [devices.of_process(Devices.model_validate(described), number) for number in range(processes)]
        assert all(share.count is None for share in shares)
        return [(share.device, share.gpu_memory) for share in shares]

    assert each(3, count=2) == [("gpu:0", "growth"), ("gpu:1", "growth"), ("gpu:0", "growth")]
    assert each(2, device="gpu:3", gpu_memory=0.3) == [("gpu:3", 0.3)] * 2
    assert each(2, device="cpu", count=4) == [("cpu", None)] * 2


def test_a_gpu_of_too_high_a_number_is_missing(machine: Machine) -> None:
    with pytest.raises(devices.MissingGpuError, match=r"device: .*needs 5 GPUs on this machine, and TensorFlow sees 4"):
        devices.check(Devices(device="gpu:4"))
    devices.check(Devices(device="gpu:3"))


@pytest.mark.parametrize(
    ("described", "key", "said"),
    [
        ("{device: 'gpu:1', count: 2}", "count", "is one GPU; set `device: gpu` for several"),
        ("{device: cpu, gpu_memory: growth}", "gpu_memory", "there is no GPU memory with `device: cpu`"),
        ("{count: 2, jit_compile: true}", "jit_compile", "XLA compiles steps on one device"),
        ("{device: tpu}", "device", "'tpu' does not have the form"),
        ("{gpu_memory: 1.5}", "gpu_memory", "a share of the memory between 0 and 1, such as 0.5; got 1.5"),
        ("{precision: float16}", "precision", "known here: float32, mixed_float16, mixed_bfloat16"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(tmp_path: Path, described: str, key: str, said: str) -> None:
    text = GOOD.replace("training: {", f"training:\n  {{devices: {described}, ")
    ((line, found, message),) = diagnostics(tmp_path, text)
    assert (line, found) == (9, f"training.devices.{key}") and said in message


def test_xla_does_not_compile_texts(tmp_path: Path) -> None:
    text = GOOD.replace("{kind: image, from: jpg, size: [64, 48]}", "{kind: text}").replace("images:", "texts:")
    text = text.replace("training: {", "model: {fine_tune: {net: {}}}\ntraining: {devices: {jit_compile: true}, ")
    ((_, key, message),) = diagnostics(tmp_path, text)
    assert key == "training.devices.jit_compile"
    assert message == "XLA can't compile operations on texts, which the fine-tuned 'net' takes; leave jit_compile out"


def test_an_operation_that_xla_can_not_compile_is_named() -> None:
    @tf.function(jit_compile=True, autograph=False)
    def product(numbers: tf.Tensor) -> tf.Tensor:
        return tf.sparse.sparse_dense_matmul(tf.sparse.from_dense(numbers), numbers, name="product")

    with (
        pytest.raises(UserError, match=r"jit_compile: XLA can't compile the operation \w+ \(\w+.*\); leave"),
        explaining_xla(),
    ):
        product(tf.eye(2))
    with pytest.raises(tf.errors.InvalidArgumentError), explaining_xla():
        tf.constant([1.0]) @ tf.constant([1.0])
