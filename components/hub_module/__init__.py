"""HubModule: fetches, verifies and inspects a TensorFlow Hub module."""
