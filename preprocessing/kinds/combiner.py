"""Configuration of the combiners that keep the order; `preprocessing/sequence_layers.py` has their layers."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import Field

from hubline.core.config_base import Section

Units = Annotated[int, Field(ge=1, le=65_536)]
MaxLength = Annotated[int, Field(ge=1, le=100_000)]


class Lstm(Section):
    """A recurrent layer that reads the steps from the first to the last: its last state."""

    lstm: Units
    """Numbers in its state."""
    bidirectional: bool = False
    """Whether a second one reads from the last step to the first, its state beside the other's."""
    max_length: MaxLength = 256
    """How many steps are taken at most; what comes behind them is cut off."""


class Gru(Section):
    """A recurrent layer that is smaller than an LSTM: its last state."""

    gru: Units
    """Numbers in its state."""
    bidirectional: bool = False
    """Whether a second one reads from the last step to the first, its state beside the other's."""
    max_length: MaxLength = 256
    """How many steps are taken at most; what comes behind them is cut off."""


class Attention(Section):
    """Steps with their position learned, each of which looks at all others (self-attention): the mean of all."""

    attention: Annotated[int, Field(ge=1, le=64)]
    """Heads, each of which looks in its own way."""
    units: Units = 64
    """Numbers that each step is brought to before, and that the mean has."""
    max_length: MaxLength = 256
    """How many steps are taken at most; what comes behind them is cut off."""


InOrder: TypeAlias = Lstm | Gru | Attention
