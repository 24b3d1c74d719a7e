"""Predictor: predicts on images, records and texts in batches, and stores the predictions."""
