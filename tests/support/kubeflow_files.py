"""A pipeline file for Kubeflow Pipelines and a package of it, as small as the tests of its API need them."""

from pathlib import Path

from hubline.pipeline.config import AnyFile
from hubline.pipeline.kubeflow.publish import Package
from hubline.pipeline.load import load

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


STEPS = {"pin": "Pin", "trainer": "Trainer"}


def file_of(folder: Path, said: str = DAILY) -> AnyFile:
    path = folder / "pipeline.yaml"
    path.write_text(FILE.replace("SCHEDULE", said))
    return load(path)[0]


def package_of(folder: Path, version: str = "taxi-tips-1") -> Package:
    path = folder / "package.yaml"
    path.write_text(SPEC)
    return Package(path, {}, version)
