"""ExampleValidator's executor."""

import hashlib
from typing import Any

from tensorflow_metadata.proto.v0 import statistics_pb2
from tfx.types import artifact_utils

from hubline.artifacts.column_statistics import STATISTICS, by_column, read_statistics
from hubline.artifacts.findings import BASELINE, DataFindings
from hubline.artifacts.splits import SPLITS
from hubline.components.adapters.tfx_executors import ExampleValidatorExecutor
from hubline.components.example_validator.checks import Checks, check
from hubline.components.example_validator.drift import compare
from hubline.components.statistics_gen.columns import read_non_finite
from hubline.core import storage
from hubline.core.errors import DataError


class Executor(ExampleValidatorExecutor):
    """TFX's executor, which compares each split with the schema, plus the checks of the pipeline file."""

    def Do(self, input_dict: dict, output_dict: dict, exec_properties: dict[str, Any]) -> Any:
        """Fills `anomalies` with TFDV's Anomalies of each split, `found.json` and, if there is a baseline, a copy of
        it. Anomalies don't fail this step.

        Raises:
            DataError: if the baseline has changed since it was pinned.
        """
        output = super().Do(input_dict, output_dict, exec_properties)
        uri = artifact_utils.get_single_uri(output_dict["anomalies"])
        statistics = artifact_utils.get_single_instance(input_dict["statistics"])
        checks = Checks.model_validate_json(exec_properties["checks"])
        by_split = {
            split: read_statistics(f"{artifact_utils.get_split_uri([statistics], split)}/{STATISTICS}")
            for split in SPLITS
        }
        drift = None
        if checks.drift:
            baseline = _baseline(exec_properties["baseline"], exec_properties["baseline_digest"])
            storage.write_bytes(f"{uri}/{BASELINE}", baseline)
            before = by_column(statistics_pb2.DatasetFeatureStatisticsList.FromString(baseline))
            drift = tuple(compare(before, by_split["train"], checks.limits))
        findings = tuple(check(checks, by_split, read_non_finite(statistics.uri)))
        stops = checks.drift is not None and checks.drift.policy == "fail"
        DataFindings(findings=findings, drift=drift, drift_stops=stops).write(uri)
        return output


def _baseline(path: str, digest: str) -> bytes:
    with storage.open_binary(path) as file:
        content = file.read()
    if hashlib.sha256(content).hexdigest() != digest:
        raise DataError(f"{path}: the baseline has changed since the run began; run again")
    return content
