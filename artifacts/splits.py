"""Names of the splits."""

SPLITS = ("train", "validation", "test")
"""Training reads the first. Early stopping and checkpoints see the second. Only the blessing sees the third."""

ALL = "all"
"""Key for files if records, rather than files, are split."""
