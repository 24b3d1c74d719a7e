"""Keras models in files, and the hub modules that are made of them."""
