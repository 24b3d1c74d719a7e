"""Shards of records for the analysis of the training split."""

import json
from collections.abc import Sequence
from pathlib import Path

import tensorflow as tf
from tensorflow_transform.tf_metadata import schema_utils

from hubline.components.transform.shard import Shard
from tests.support import example_data

FEATURES = {
    "z": {"kind": "numeric", "from": "x", "normalize": "z_score", "missing": "median"},
    "bucket": {"kind": "bucketized", "from": "x", "buckets": 4},
    "word": {"kind": "categorical", "vocabulary": {"top_k": 2}},
}


def shards(folder: Path, records: Sequence[bytes], count: int) -> list[Shard]:
    config = json.dumps({"features": FEATURES, "label": {"kind": "class", "from": "y"}})
    dtypes = {"x": tf.float32, "word": tf.string, "y": tf.int64}
    spec = {name: tf.io.VarLenFeature(dtype) for name, dtype in dtypes.items()}
    schema = schema_utils.schema_from_feature_spec(spec).SerializeToString()
    return [
        Shard(
            str(example_data.write_tfrecord(folder / f"{number}", records[number::count])),
            f"digest {count} {number}",
            len(records[number::count]),
            config,
            schema,
            str(folder / "store"),
            "code",
        )
        for number in range(count)
    ]
