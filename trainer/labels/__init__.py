"""The training part of each kind of label."""
