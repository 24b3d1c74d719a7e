"""Types of the `export` section."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from hubline.core.config_base import FilePath, Section
from hubline.trainer.config.names import HubName

Quantization = Literal["none", "dynamic", "float16", "int8"]

_MOST: dict[Quantization, float] = {"none": 1e-3, "float16": 0.01, "dynamic": 0.05, "int8": 0.1}


class TFLite(Section):
    """A TFLite model for one record at a time. Its inputs are pixels and transformed numbers."""

    quantize: Quantization = "none"
    """`float16` stores weights in half the size, `dynamic` as 8-bit integers that are used with float activations, and
    `int8` weights and activations as 8-bit integers, scaled by the activations for `representative` records."""
    representative: int = Field(default=200, ge=1, le=100_000)
    """With `int8`: number of training records that activations are measured on."""
    select_tf_ops: bool = False
    """Whether operations that TFLite lacks may remain those of TensorFlow. The interpreter then needs the Flex
    delegate."""
    max_difference: float | None = Field(default=None, gt=0.0, examples=[0.05])
    """Greatest permitted difference from the SavedModel's answers, for the records of the test split that are compared:
    of scores and boxes as they are, of numbers in standard deviations of the answers, of masks as the share of the
    pixels. Default: 0.001, with `float16` 0.01, with `dynamic` 0.05, with `int8` 0.1."""

    @property
    def bound(self) -> float:
        """`max_difference`, or its default."""
        return _MOST[self.quantize] if self.max_difference is None else self.max_difference


class Publish(Section):
    """A fine-tuned hub module to publish, for the `hubs` of other pipeline files."""

    module: HubName
    """Name of the module in `hubs`. `model.fine_tune` must name it."""
    to: FilePath = Field(min_length=1, examples=["gs://bucket/modules/photos"])
    """Folder of the module's versions; each is a subfolder named by an integer, and a handle."""


def _asked(value: Any) -> Any:
    return {} if value is True else None if value is False else value


class Export(Section):
    """What stands beside the SavedModel: other forms of the model, each of which must answer as the SavedModel does,
    otherwise nothing is pushed; an example; and a hub module to publish."""

    tflite: Annotated[TFLite | None, BeforeValidator(_asked, json_schema_input_type=bool | TFLite | None)] = Field(
        default=None, examples=[True, {"quantize": "int8"}]
    )
    """Whether to add a TFLite model, or its settings."""
    frozen_graph: bool = False
    """Whether to add a frozen graph, a GraphDef with the weights as constants."""
    example: Literal["record", "none"] = "record"
    """Example in `README.md` and `inputs.json` beside the model: `record` takes a record of the validation split, whose
    values everyone can read who can read the serving folder; `none` leaves it out."""
    publish: Publish | None = None
    """A fine-tuned hub module to publish when the model is pushed."""
