"""Private APIs of the libraries that steps use, one module per library."""
