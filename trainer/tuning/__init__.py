"""The search for good values of `model` and `training`."""
