"""A table with features of all kinds, and a training job on it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from hubline.preprocessing.config import Features, Label
from hubline.trainer.config.hubs import Hubs
from hubline.trainer.config.model import Model
from hubline.trainer.config.optimizer import Optimizer
from hubline.trainer.config.training import Training
from hubline.trainer.embeddings import CachedVectors
from hubline.trainer.train import Job
from tests.support import example_data
from tests.support import job as make_job

OPTIONAL = "value_count {min: 1 max: 1}"
"""A column as the pipeline's schema describes it: one value, or none."""


COLUMNS = {"amount": "FLOAT", "colour": "BYTES", "hour": "INT"}


Row = Mapping[str, Any]


def features_of(**features: Mapping[str, Any]) -> Features:
    return TypeAdapter(Features).validate_python(features)


TABULAR = features_of(
    amount={"kind": "numeric", "normalize": "z_score"},
    colour={"kind": "categorical", "oov_buckets": 1, "encode": {"embedding": 4}},
    late={"kind": "bucketized", "from": "hour", "boundaries": [12], "encode": "none"},
    both={"kind": "crossed", "of": ["colour", "late"], "hash_buckets": 50},
)


def rows(count: int) -> list[Row]:
    """Trips are tipped if they are both red and late, or neither: no single column is sufficient."""
    rng = np.random.default_rng(0)
    found = []
    for number in range(count):
        colour, hour = ("red", "green")[number % 2], int(rng.integers(24))
        tip = 5.0 if (colour == "red") == (hour >= 12) else 1.0
        row = {
            "amount": float(rng.normal(20, 4)),
            "colour": colour,
            "hour": hour,
            "tip": tip,
            "note": "é" * (number % 3),
        }
        found.append(row | {"image": example_data.random_image(number)})
    return found


ROWS = rows(150)


def records_of(some: Sequence[Row], *columns: str) -> list[bytes]:
    return [example_data.record(**{name: row[name] for name in columns if name in row}) for row in some]


def job_of(folder: Path, features: Features, hubs: Hubs, modules: Mapping[str, str], model: Model) -> Job:
    label = TypeAdapter(Label).validate_python(
        {"kind": "binary", "where": "tip > 0.1 * amount", "classes": ["no", "tip"]}
    )
    types = COLUMNS | {"tip": "FLOAT", "note": "BYTES", "image": "BYTES"}
    columns = [name for name in types if hubs or name in (*COLUMNS, "tip")]
    raw = make_job.schema(OPTIONAL, **{name: types[name] for name in columns})
    records = records_of(ROWS, *columns)
    splits = {
        name: make_job.split(folder / name, [some], features, hubs, modules, raw)
        for name, some in (("train", records[:100]), ("validation", records[100:]))
    }
    sizes = {"mean": 6, "words": 2}
    return Job(
        features=features,
        label=label,
        hubs=hubs,
        model=model,
        training=Training(epochs=25, batch_size=16, optimizer=Optimizer(learning_rate=0.05), shuffle_buffer=1),
        schema=raw,
        transform=make_job.transform_graph(folder, records[:100], features, label, raw),
        module_paths=modules,
        vectors=CachedVectors(sizes={name: sizes[name] for name in hubs}, recipe="the recipe"),
        views=1,
        checkpoints=str(folder / "checkpoints"),
        logs=str(folder / "logs"),
        export=str(folder / "export"),
        **splits,
    )
