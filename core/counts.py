"""Comparison of two counts of the same records."""

from hubline.core.errors import DamageError


def hold(what: str, found: int, written: int) -> None:
    """Compares two counts of the same records.

    Args:
        what: The file or split, for the message.
        found: Number of records read.
        written: Number of records that an earlier step wrote.

    Raises:
        DamageError: if the counts differ.
    """
    if found != written:
        raise DamageError(f"{what}: {written:,} records were written, but it contains {found:,}")
