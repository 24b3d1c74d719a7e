"""Small pipeline files, and the errors found in changed ones."""

from pathlib import Path

import pytest

from hubline.pipeline.diagnostics import PipelineFileError
from hubline.pipeline.load import load

GOOD = """\
name: tiny
data: {examples: data/*.gz, split: {train: 8, validation: 1, test: 1}}
features:
  photo: {kind: image, from: jpg, size: [64, 48]}
label: {from: label, kind: class, classes: [cat, dog]}
hubs:
  net: {handle: modules/net, inputs: {images: photo}}
training: {epochs: 2, optimizer: {name: sgd, learning_rate: 1e-2}}
serving: {destination: gs://bucket/serving}
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "pipeline.yaml"
    path.write_text(text)
    return path


def diagnostics(folder: Path, text: str) -> list[tuple[int, str, str]]:
    with pytest.raises(PipelineFileError) as caught:
        load(write(folder, text))
    return [(diagnostic.line, diagnostic.key, diagnostic.message) for diagnostic in caught.value.diagnostics]


TABULAR = """\
name: tiny
data: {examples: data}
features:
  fare: {kind: numeric}
  area: {kind: categorical}
  extra: EXTRA
label: {from: label, kind: class}
training: {epochs: 2}
serving: {destination: serving}
"""

TRIPS = """\
name: trips
data:
  examples: data/*.gz
  split: {train: 8, validation: 1, test: 1}
features:
  fare: {kind: numeric, normalize: z_score}
  miles: {kind: numeric, normalize: log1p, missing: median}
  company: {kind: categorical, vocabulary: computed, oov_buckets: 1}
  hour: {kind: categorical, identity: 24}
  zone: {kind: bucketized, from: miles, buckets: 4}
label:
  kind: class
  from: tip
  classes: [no, yes]
model:
  head: {hidden: [16], dropout: 0.1}
training:
  epochs: 4
  batch_size: 16
  optimizer: {name: adam, learning_rate: 0.002}
evaluation:
  metrics: [accuracy, cross_entropy, auc]
  slices: [[company]]
  thresholds:
    accuracy: {at_least: 0.6}
serving: {destination: serving}
"""
"""A file with a line for most sections, for small edits."""
