"""Private APIs of the libraries that training uses, one module per library."""
