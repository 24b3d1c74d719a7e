"""Configuration of embeddings and of how categories are encoded."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from hubline.core.config_base import Section
from hubline.preprocessing.kinds.combiner import InOrder


class Embedding(Section):
    """A trained vector for each category."""

    embedding: Annotated[int, Field(ge=1, le=65_536)]
    """Size of the vectors."""
    combiner: Literal["mean", "sum", "sqrtn"] | InOrder = Field(
        default="mean", examples=[{"gru": 64, "max_length": 100}]
    )
    """How to combine the vectors of a record: `mean`, `sum` or `sqrtn` (the sum over the square root of the count; with
    weights, over the square root of the sum of squared weights), or a sequence layer over the vectors in order, each
    multiplied by its weight."""
    initializer: Literal[
        "truncated_normal",
        "uniform",
        "glorot_uniform",
        "glorot_normal",
        "he_uniform",
        "he_normal",
        "lecun_uniform",
        "lecun_normal",
        "orthogonal",
        "random_normal",
        "random_uniform",
        "zeros",
    ] = "truncated_normal"
    """Keras initializer of the vectors. `truncated_normal` has a standard deviation of 1 / sqrt(`embedding`)."""
    pretrained: str | None = Field(default=None, min_length=1, examples=["words"])
    """In place of `initializer`: name in `hubs` of a text module without inputs. Each word's vector starts as the
    module's output for that word. The module's outputs must have the size `embedding`."""


Encode: TypeAlias = Literal["one_hot", "multi_hot", "none"] | Embedding
