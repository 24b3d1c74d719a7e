"""Compares Hubline with stock TFX and with plain TensorFlow loops: `make bench`, or `python -m benchmarks`."""
