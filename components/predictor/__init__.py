"""Predictor: asks a model about images, records and texts, many at a time, and keeps what it says."""
