"""Private APIs of libraries that every subpackage uses, one module per library."""
