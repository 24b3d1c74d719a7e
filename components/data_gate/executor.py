"""What DataGate does when it runs."""

import json
from typing import Any

from tensorflow_metadata.proto.v0 import anomalies_pb2
from tfx.components.example_validator import executor as example_validator
from tfx.dsl.components.base import base_executor
from tfx.dsl.io import fileio
from tfx.types import artifact_utils

from components.artifacts import read_schema
from preprocessing.errors import DataError


class Executor(base_executor.BaseExecutor):
    """Reads the anomalies of every split, and the columns that there are."""

    def Do(self, input_dict: dict, output_dict: dict, exec_properties: dict[str, Any]) -> None:
        """Lets the run go on, or does not.

        Raises:
            DataError: lists each anomaly with its split and column, or names a column that cannot be sliced by. It
                would otherwise be missed after training only.
        """
        artifact = artifact_utils.get_single_instance(input_dict["anomalies"])
        found = [
            line
            for split in artifact_utils.decode_split_names(artifact.split_names)
            for line in _lines(artifact, split)
        ]
        if found:
            raise DataError("the data does not fit its schema:\n" + "\n".join(found))
        images = json.loads(exec_properties["images"])
        columns = sorted({feature.name for feature in read_schema(input_dict["schema"]).feature} - {*images})
        for column in json.loads(exec_properties["sliced"]):
            if column not in columns:
                what = "holds images" if column in images else "is not in the data"
                raise DataError(f"evaluation.slices: the column '{column}' {what}; known here: {', '.join(columns)}")


def _lines(artifact: Any, split: str) -> list[str]:
    path = f"{artifact_utils.get_split_uri([artifact], split)}/{example_validator.DEFAULT_FILE_NAME}"
    anomalies = anomalies_pb2.Anomalies()
    with fileio.open(path, "rb") as file:
        anomalies.ParseFromString(file.read())
    lines = [f"  {split}: column '{name}': {info.description}" for name, info in sorted(anomalies.anomaly_info.items())]
    if anomalies.HasField("dataset_anomaly_info"):
        lines.append(f"  {split}: {anomalies.dataset_anomaly_info.description}")
    return lines
