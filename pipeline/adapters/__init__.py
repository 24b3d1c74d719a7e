"""Private parts of the libraries that run a pipeline, one module for each library."""
