"""TF1 hub modules that are trained: their graphs as functions that share the variables of TensorFlow 2."""
