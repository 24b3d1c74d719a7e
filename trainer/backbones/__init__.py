"""Backbones that are no hub modules: what the pipeline file says of them, and the networks in Keras, a module each."""
