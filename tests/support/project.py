"""A small complete project: pipeline file, data and hub module."""

import sys
from collections.abc import Sequence
from pathlib import Path

from tests.support import example_data, hub_modules

PIPELINE = """\
name: tiny
data:
  examples: data
  split: {train: 6, validation: 2, test: 2}
features:
  image: {kind: image, size: [8, 8]}
label: {from: label, kind: class, classes: [dark, light]}
hubs:
  mean: {handle: module, inputs: {images: image}}
training: {epochs: 5, batch_size: 16, optimizer: {learning_rate: 0.1}}
evaluation: {thresholds: {accuracy: {at_least: 0.9, no_worse_than_serving_by: 0.02}}}
serving: {destination: serving, check: {enabled: false}}
"""


CHECKED = PIPELINE.replace(
    "{enabled: false}",
    "{tolerance: 1.0e-4, max_load_seconds: 300, max_memory: 16Gi, timeout_seconds: 500, "
    "max_latency_ms: {batch_1: {p50: 60000, p99: 60001}, batch_32: {p50: 60002, p99: 60003}}}",
)
"""With the serving check, which takes some seconds."""


def make_project(folder: Path, text: str = PIPELINE, records: Sequence[bytes] | None = None) -> Path:
    """Creates a folder with a pipeline file, its data in two files, and its hub module; returns the file."""
    records = example_data.labelled(200) if records is None else records
    example_data.write_tfrecord(folder / "data" / "a.tfrecord", records[0::2])
    example_data.write_tfrecord(folder / "data" / "b.tfrecord.gz", records[1::2], "GZIP")
    hub_modules.mean_colour(folder / "module")
    path = folder / "pipeline.yaml"
    path.write_text(text)
    return path


HUBLINE = [sys.executable, "-m", "hubline.pipeline.cli"]


PROJECT = Path(__file__).parents[2]
