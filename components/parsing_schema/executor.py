"""ParsingSchema's executor."""

import math
from typing import Any

from google.protobuf import text_format
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils

from hubline.artifacts.names import SCHEMA_FILE
from hubline.components.input_artifacts import read_schema
from hubline.core import storage


class Executor(base_executor.BaseExecutor):
    """Clears the shapes that make parsing require a fixed number of values."""

    def Do(self, input_dict: dict, output_dict: dict, exec_properties: dict[str, Any]) -> None:
        """Fills `parsing_schema` with the schema without `shape`s, so that columns are parsed as sparse tensors.

        `value_count` then states the maximum number of values per record.
        """
        schema = read_schema(input_dict["schema"])
        for feature in schema.feature:
            if feature.HasField("shape"):
                feature.value_count.max = math.prod(dim.size for dim in feature.shape.dim)  # clears `shape`
        uri = artifact_utils.get_single_uri(output_dict["parsing_schema"])
        storage.write_text(f"{uri}/{SCHEMA_FILE}", text_format.MessageToString(schema))
