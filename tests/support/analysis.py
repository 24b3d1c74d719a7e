"""Shards of records for the analysis of the training split."""

import json
from collections.abc import Sequence
from pathlib import Path

import tensorflow as tf
from tensorflow_transform.tf_metadata import schema_utils

from hubline.components.transform.shard import Analysis, Shard
from tests.support import example_data

FEATURES = {
    "z": {"kind": "numeric", "from": "x", "normalize": "z_score", "missing": "median"},
    "bucket": {"kind": "bucketized", "from": "x", "buckets": 4},
    "word": {"kind": "categorical", "vocabulary": {"top_k": 2}},
}


_TYPES = {"x": tf.float32, "word": tf.string, "y": tf.int64}
ANALYSIS = Analysis(
    config=json.dumps({"features": FEATURES, "label": {"kind": "class", "from": "y"}}),
    schema=schema_utils.schema_from_feature_spec(
        {name: tf.io.VarLenFeature(dtype) for name, dtype in _TYPES.items()}
    ).SerializeToString(),
)


def shards(folder: Path, records: Sequence[bytes], count: int) -> list[Shard]:
    """Records in so many files."""
    return [
        Shard(
            name=str(example_data.write_tfrecord(folder / f"{number}", records[number::count])),
            count=len(records[number::count]),
            key=f"key-{count}-{number}",
        )
        for number in range(count)
    ]
