"""HubModule: brings a TensorFlow Hub module into the run, verified and inspected."""
