"""Exporter: other forms of the trained model, and the hub module to publish."""
