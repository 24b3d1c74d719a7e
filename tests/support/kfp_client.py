"""A small pipeline file and its package, sent to a Kubeflow Pipelines server with the kfp client."""

from datetime import timedelta
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from hubline.pipeline.config import AnyFile
from hubline.pipeline.kubeflow import schedule, schedule_plan, watch
from hubline.pipeline.kubeflow.api import Address, Client
from hubline.pipeline.kubeflow.publish import Package
from hubline.pipeline.load import load
from tests.support.kfp_api import KfpApi

FILE = """\
name: taxi-tips
data: {examples: gs://bucket/data/*.tfrecord}
features: {miles: {kind: numeric}}
label: {from: tips, kind: binary}
training: {epochs: 1, batch_size: 8}
serving: {destination: gs://bucket/serving}
kubeflow:
  schedule: SCHEDULE
"""
SPEC = """\
pipelineInfo: {name: taxi-tips}
root:
  inputDefinitions:
    parameters: {epochs: {}, batch_size: {}, learning_rate: {}, data_examples: {}, push: {}, overrides: {},
      accuracy_no_worse_than_serving_by: {}}
  dag: {tasks: {pin: {taskInfo: {name: Pin}, componentRef: {name: comp}},
    trainer: {taskInfo: {name: Trainer}, componentRef: {name: comp}}}}
components: {comp: {executorLabel: exec}}
"""
DAILY = "{cron: 0 3 * * *, time_zone: Europe/Berlin}"
DAY = timedelta(days=1)
STEPS = {"pin": "Pin", "trainer": "Trainer"}


def address(api: KfpApi, **said: Any) -> Address:
    return Address(**{"host": api.host, "first_wait": 0.001} | said)


def file_of(folder: Path, said: str = DAILY) -> AnyFile:
    path = folder / "pipeline.yaml"
    path.write_text(FILE.replace("SCHEDULE", said))
    return load(path)[0]


def package_of(folder: Path, version: str = "taxi-tips-1") -> Package:
    path = folder / "package.yaml"
    path.write_text(SPEC)
    return Package(path, YAML(typ="safe", pure=True).load(SPEC), version)


def apply(
    client: Client, api: KfpApi, folder: Path, said: str = DAILY, version: str = "taxi-tips-1"
) -> schedule.ApplyResult:
    file, package = file_of(folder, said), package_of(folder, version)
    return schedule.apply(client, file, package, schedule_plan.plan(file, package, None, api.now), api.now)


def would_change(
    client: Client, api: KfpApi, folder: Path, said: str = DAILY, version: str = "taxi-tips-1"
) -> list[str]:
    file, package = file_of(folder, said), package_of(folder, version)
    plan = schedule_plan.plan(file, package, None, api.now)
    return [each.key for each in schedule.would_change(client, file, plan)]


def only(api: KfpApi) -> dict[str, Any]:
    (recurring,) = api.recurring.values()
    return recurring


class Heard(watch.Display):
    """Records what it is asked to show."""

    def __init__(self) -> None:
        self.heard: list[dict[str, str]] = []
        self.notes: list[str] = []

    def show(self, now: Any) -> None:
        self.heard.append(dict(now))

    def note(self, text: str) -> None:
        self.notes.append(text)
