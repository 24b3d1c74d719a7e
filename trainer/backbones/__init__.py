"""Backbones other than hub modules: their configuration, and the Keras networks, one module each."""
