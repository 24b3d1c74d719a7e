"""Private APIs of the libraries that run a pipeline, one module per library."""
