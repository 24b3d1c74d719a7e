"""Type of `training.class_weights`."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field


def _one_form(value: Any) -> Any:
    # So that an error names what was meant, rather than both forms.
    if value != "balanced" and not (isinstance(value, dict) and value):
        raise ValueError(f"got {value!r}; set `balanced`, or a weight for each class, such as {{no: 1, yes: 5}}")
    return value


_Weights = Literal["balanced"] | Annotated[dict[str, Annotated[float, Field(gt=0.0, le=1e6)]], Field(min_length=1)]
ClassWeights = Annotated[_Weights, BeforeValidator(_one_form, json_schema_input_type=_Weights)]
"""`balanced`, or a weight for each class by name."""
