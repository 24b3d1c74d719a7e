"""Hubline beside the stock way and beside bare loops: `make bench`, or `python -m benchmarks`."""
