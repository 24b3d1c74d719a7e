"""DataGate's executor."""

from collections.abc import Iterator
from typing import Any

from tensorflow_metadata.proto.v0 import anomalies_pb2
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils

from hubline.artifacts.findings import DataFindings
from hubline.artifacts.names import ANOMALIES_FILE
from hubline.core import storage
from hubline.core.errors import DataError


class Executor(base_executor.BaseExecutor):
    def Do(self, input_dict: dict, output_dict: dict, exec_properties: dict[str, Any]) -> None:
        """Fails on anomalies in any split.

        Raises:
            DataError: lists every anomaly with its split and column.
        """
        artifact = artifact_utils.get_single_instance(input_dict["anomalies"])
        splits = artifact_utils.decode_split_names(artifact.split_names)
        reasons = [line for split in splits for line in _anomalies(artifact, split)]
        reasons += DataFindings.read(artifact.uri).reasons
        if reasons:
            raise DataError("\n  ".join(["the data is not fit for training:", *reasons]))


def _anomalies(artifact: Any, split: str) -> Iterator[str]:
    """Schema anomalies of a split, one line each."""
    path = f"{artifact_utils.get_split_uri([artifact], split)}/{ANOMALIES_FILE}"
    with storage.open_binary(path) as file:
        anomalies = anomalies_pb2.Anomalies.FromString(file.read())
    for name, info in sorted(anomalies.anomaly_info.items()):
        yield f"{split}: column '{name}': {info.description}"
    if anomalies.HasField("dataset_anomaly_info"):
        yield f"{split}: {anomalies.dataset_anomaly_info.description}"
