"""Tuner: searches for good values of `model` and `training`."""
