"""Inputs that are nearly right: seeds with some edits, as hypothesis strategies."""

from collections.abc import Sequence

from hypothesis import strategies as st

_NUMBERS = (b"\x00", b"\xff", b"\x7f", b"\x80", b"\xff\xff\xff\xff", b"\x00\x00\x00\x80", b"\xff" * 9 + b"\x01")
"""Bytes at the edges of integers and of varints."""
_EDITS = (1, 1, 1, 2, 3, 6)
_MOST_BYTES = 12


@st.composite
def edited(draw: st.DrawFn, seeds: Sequence[bytes], tokens: Sequence[bytes] = ()) -> tuple[int, bytes]:
    """The number of a seed, and the seed with some edits.

    Args:
        draw: Draws from a strategy.
        seeds: Valid inputs.
        tokens: Parts of the format, which are inserted as a whole.
    """
    number = draw(st.integers(0, len(seeds) - 1))
    data = bytearray(seeds[number])
    for _ in range(draw(st.sampled_from(_EDITS))):
        at = draw(st.integers(0, len(data)))
        end = min(at + draw(st.integers(0, _MOST_BYTES)), len(data))
        edit = draw(st.sampled_from(("replace", "insert", "token", "delete", "repeat", "cut", "flip", "other")))
        if edit == "replace":
            data[at:end] = draw(st.binary(min_size=end - at, max_size=end - at))
        elif edit == "insert":
            data[at:at] = draw(st.binary(max_size=_MOST_BYTES))
        elif edit == "token":
            data[at : draw(st.sampled_from((at, end)))] = draw(st.sampled_from((*tokens, *_NUMBERS)))
        elif edit == "delete":
            del data[at:end]
        elif edit == "repeat":
            data[at:at] = data[at:end] * draw(st.integers(1, 40))
        elif edit == "cut":
            del data[at:]
        elif edit == "flip" and at < len(data):
            data[at] ^= 1 << draw(st.integers(0, 7))
        elif edit == "other":
            other = draw(st.sampled_from(seeds))
            begin = draw(st.integers(0, len(other)))
            data[at:end] = other[begin : begin + 4 * _MOST_BYTES]
    return number, bytes(data)
