"""Cached shards: which code changes recompute them, and which don't."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tfx.dsl.components.base import base_beam_executor, base_executor

from hubline.artifacts import file_list
from hubline.components.component import components
from hubline.components.pin.snapshot import pin
from hubline.core import code_digest as code_digests
from hubline.pipeline.graph import graph
from hubline.pipeline.load import load
from hubline.pipeline.paths import Paths
from tests.support import example_data
from tests.support.code import changing
from tests.support.project import make_project

KEEPING = ["ExampleGen", "StatisticsGen", "Transform", "Embedder"]
STEPS = ["HubModule.mean", "ExampleGen", "StatisticsGen", "SchemaGen", "ParsingSchema", "Transform", "Embedder"]


class Runs:
    """Runs of the steps that cache something, with one cache."""

    def __init__(self, folder: Path) -> None:
        self._file, _ = load(make_project(folder / "project", records=example_data.labelled(20)))
        self._folder = folder
        self._number = 0
        self.run()

    def run(self) -> set[str]:
        """Runs the steps; returns those that cached something new."""
        self._number += 1
        place = self._folder / f"run{self._number}"
        file = self._file
        pins = pin(file.data, file.features, file.hubs, file.serving.destination)
        places = Paths(self._folder / "root")
        file_list.keep(pins.files, str(places.pins))
        steps = components(graph(file, pins, places))
        store, made, fresh = places.store, {}, set()
        for step in (step for step in steps if step.id in STEPS):
            before = set(Path(store).glob("*"))
            outputs = {key: channel.type() for key, channel in step.outputs.items()}
            for key, artifact in outputs.items():
                artifact.uri = str(place / step.id / key)
                Path(artifact.uri).mkdir(parents=True)
            inputs = {key: [made[each.producer_component_id, each.output_key]] for key, each in step.inputs.items()}
            self._executor(step.executor_spec.executor_class, place).Do(
                inputs, {key: [artifact] for key, artifact in outputs.items()}, dict(step.exec_properties)
            )
            made |= {(step.id, key): artifact for key, artifact in outputs.items()}
            fresh |= {step.id} if set(Path(store).glob("*")) - before else set()
        return fresh

    @staticmethod
    def _executor(kind: type, place: Path) -> base_executor.BaseExecutor:
        if not issubclass(kind, base_beam_executor.BaseBeamExecutor):
            return kind(base_executor.BaseExecutor.Context(tmp_dir=f"{place}/tmp/", unique_id="1"))
        beam = ["--direct_running_mode=in_memory", "--direct_num_workers=1", "--sdk_container_image=none"]
        return kind(base_beam_executor.BaseBeamExecutor.Context(beam, tmp_dir=f"{place}/tmp/", unique_id="1"))


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    yield Runs(tmp_path_factory.mktemp("kept"))


@pytest.mark.parametrize(
    ("changed", "made_anew"),
    [
        ([f"components/{step}/executor.py" for step in ("example_gen", "statistics_gen", "transform", "embedder")], []),
        (["components/config/evaluation.py", "artifacts/embedded_rows.py", "trainer/phases.py", "trainer/fit.py"], []),
        (
            [
                "core/storage/__init__.py",
                "core/shard_cache.py",
                "core/config_base.py",
                "core/errors.py",
                "core/progress.py",
            ],
            [],
        ),
        (
            [
                "trainer/model.py",
                "trainer/labels/classes.py",
                "trainer/config/training.py",
                "components/config/data.py",
            ],
            [],
        ),
        (["components/example_gen/ingest.py"], ["ExampleGen"]),
        (
            ["preprocessing/kinds/crossed.py", "preprocessing/labels/classes.py", "preprocessing/config.py"],
            ["Transform"],
        ),
        (["preprocessing/kinds/image.py"], ["Transform", "Embedder"]),
        (["components/statistics_gen/shard.py"], ["StatisticsGen"]),
        (["components/transform/shard.py"], ["Transform"]),
        (["preprocessing/accumulators.py"], ["Transform"]),
        (["trainer/embed.py"], ["Embedder"]),
        (["trainer/hub_callable.py"], ["Embedder"]),
        (["preprocessing/encoded_images.py"], ["ExampleGen", "Transform", "Embedder"]),
    ],
)
def test_kept_shards_are_found_again_unless_the_code_that_computes_them_changed(
    runs: Runs, monkeypatch: pytest.MonkeyPatch, changed: list[str], made_anew: list[str]
) -> None:
    with monkeypatch.context() as patch:
        changing(changed, patch)
        assert sorted(runs.run(), key=KEEPING.index) == made_anew


@pytest.mark.both_stacks
def test_another_version_of_what_does_not_compute_a_shard_leaves_it_be(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    versions = code_digests.version
    computing = {"tensorflow", "tensorflow-data-validation", "tfx-bsl", "tensorflow-transform"}
    for others in (True, False):
        code_digests.forget()
        changed = set(code_digests.STACK) - computing if others else computing
        monkeypatch.setattr(
            code_digests, "version", lambda name, changed=changed: "0" if name in changed else versions(name)
        )
        assert sorted(runs.run(), key=KEEPING.index) == ([] if others else KEEPING)
    code_digests.forget()
