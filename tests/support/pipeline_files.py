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
