"""Trainer: the step that trains and exports the model."""
