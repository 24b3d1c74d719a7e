"""Colours of classes in masks: those of the PASCAL Visual Object Classes challenge."""


def colour(number: int) -> tuple[int, int, int]:
    """Red, green and blue of a class number: its bits are dealt in turn to the highest bits of the three channels."""
    shares = [0, 0, 0]
    for place in range(8):
        for channel in range(3):
            shares[channel] |= (number >> (3 * place + channel) & 1) << (7 - place)
    return shares[0], shares[1], shares[2]


PALETTE = bytes(share for number in range(256) for share in colour(number))
"""The colours of the classes 0 to 255, concatenated."""
