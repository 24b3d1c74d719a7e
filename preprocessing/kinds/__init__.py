"""The kinds of feature, one module each: what the pipeline file says of it, and what becomes of it."""
