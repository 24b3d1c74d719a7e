"""What DataGate does when it runs."""

from typing import Any

from tensorflow_metadata.proto.v0 import anomalies_pb2
from tfx.components.example_validator import executor as example_validator
from tfx.dsl.components.base import base_executor
from tfx.dsl.io import fileio
from tfx.types import artifact_utils

from preprocessing.errors import DataError


class Executor(base_executor.BaseExecutor):
    """Reads the anomalies of every split and raises where there is one."""

    def Do(self, input_dict: dict, output_dict: dict, exec_properties: dict[str, Any]) -> None:
        """Raises a `DataError` that lists each anomaly with its split and column."""
        artifact = artifact_utils.get_single_instance(input_dict["anomalies"])
        found = [
            line
            for split in artifact_utils.decode_split_names(artifact.split_names)
            for line in _lines(artifact, split)
        ]
        if found:
            raise DataError("the data does not fit its schema:\n" + "\n".join(found))


def _lines(artifact: Any, split: str) -> list[str]:
    path = f"{artifact_utils.get_split_uri([artifact], split)}/{example_validator.DEFAULT_FILE_NAME}"
    anomalies = anomalies_pb2.Anomalies()
    with fileio.open(path, "rb") as file:
        anomalies.ParseFromString(file.read())
    lines = [f"  {split}: column '{name}': {info.description}" for name, info in sorted(anomalies.anomaly_info.items())]
    if anomalies.HasField("dataset_anomaly_info"):
        lines.append(f"  {split}: {anomalies.dataset_anomaly_info.description}")
    return lines
