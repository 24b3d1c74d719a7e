"""Configuration of sequence layers; `preprocessing/sequence_layers.py` builds them."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import Field

from hubline.core.config_base import Section

Units = Annotated[int, Field(ge=1, le=65_536)]
MaxLength = Annotated[int, Field(ge=1, le=100_000)]


class Lstm(Section):
    """An LSTM over the steps, first to last; its output is the last state."""

    lstm: Units
    """Size of the state."""
    bidirectional: bool = False
    """Whether a second LSTM reads from last to first; the two states are concatenated."""
    max_length: MaxLength = 256
    """Maximum number of steps; later steps are cut off."""


class Gru(Section):
    """A GRU over the steps, first to last, with fewer weights than an LSTM; its output is the last state."""

    gru: Units
    """Size of the state."""
    bidirectional: bool = False
    """Whether a second GRU reads from last to first; the two states are concatenated."""
    max_length: MaxLength = 256
    """Maximum number of steps; later steps are cut off."""


class Attention(Section):
    """Multi-head self-attention over the steps, with learned position embeddings; its output is the mean over the
    steps."""

    attention: Annotated[int, Field(ge=1, le=64)]
    """Number of attention heads."""
    units: Units = 64
    """Size of each step within the layer, and of its output."""
    max_length: MaxLength = 256
    """Maximum number of steps; later steps are cut off."""


InOrder: TypeAlias = Lstm | Gru | Attention
