"""Trains a model on transformed features and exports it, with TensorFlow only."""
