"""The splits of the data."""

SPLITS = ("train", "validation", "test")
"""Training reads the first; early stopping and checkpoints see the second; the blessing sees only the third."""

ALL = "all"
"""The name that files go under where records, not files, are split."""
