"""Counts of the same records, held to each other."""

from hubline.core.errors import DamageError


def hold(what: str, found: int, written: int) -> None:
    """Compares two counts of the same records.

    Args:
        what: The file or split.
        found: How many were read.
        written: How many an earlier step wrote.

    Raises:
        DamageError: where the two differ.
    """
    if found != written:
        raise DamageError(f"{what}: {written:,} records were written there, and it holds {found:,}")
