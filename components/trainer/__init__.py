"""Trainer: trains and exports the model."""
