"""A small complete project with `task: infer`: a classifier of colours."""

import json
from pathlib import Path

import numpy as np

from tests.support import example_data

NAMES = ["red", "green", "blue"]


CLASSIFY = """\
task: infer
name: colours
data: {examples: data, bad_records: {policy: quarantine, max_fraction: 0.2}}
features: {photo: {kind: image, from: image, size: [8, 8]}}
hubs: {colours: {handle: module, inputs: {images: photo}}}
label: {from: class, kind: class, classes: [red, green, blue]}
predictions: {destination: predictions, labels: labels.txt, top: 2, key: id}
"""


def rows(folder: Path | str) -> list[dict]:
    files = sorted(Path(folder).glob("predictions-*.jsonl"))
    return [json.loads(line) for path in files for line in path.read_text().splitlines()]


def colours(count: int) -> tuple[list[bytes], np.ndarray]:
    """Records with an image, an id and a class, which is often that of the brightest channel; and the images' means."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, [count, 8, 8, 3], np.uint8)
    means = images.mean((1, 2)) / 255
    classes = np.where(rng.random(count) < 0.6, means.argmax(1), rng.integers(0, 3, count))
    records = [
        example_data.record(image=example_data.image_bytes(image), id=f"id-{number}", **{"class": NAMES[name]})
        for number, (image, name) in enumerate(zip(images, classes, strict=True))
    ]
    return records, means
