"""Configuration of embeddings, and of how categories enter the model."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from hubline.core.config_base import Section
from hubline.preprocessing.kinds.combiner import InOrder


class Embedding(Section):
    """A vector of trained numbers for each category."""

    embedding: Annotated[int, Field(ge=1, le=65_536)]
    """Numbers in a vector."""
    combiner: Literal["mean", "sum", "sqrtn"] | InOrder = Field(
        default="mean", examples=[{"gru": 64, "max_length": 100}]
    )
    """What becomes of several values in a record: their mean, their sum, or the sum by the square root of their count;
    with weights, of the weights' squares. Or what a recurrent or attention layer makes of them in their order; with
    weights, of the vectors times these."""
    initializer: Literal["truncated_normal", "uniform", "glorot_uniform", "zeros"] = "truncated_normal"
    """How the vectors begin; `truncated_normal` has the deviation 1 by the square root of `embedding`."""
    pretrained: str | None = Field(default=None, min_length=1, examples=["words"])
    """Instead, a hub module of texts, by its name in `hubs`, where it has no inputs: what it gives for each word of the
    vocabulary is how that word's vector begins. It gives as many numbers as `embedding` says."""


Encode: TypeAlias = Literal["one_hot", "multi_hot", "none"] | Embedding
