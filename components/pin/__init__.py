"""Pins facts known only at run time before any step runs: they become execution properties, so that caching sees
them."""
