"""Private parts of the libraries that every room uses, one module for each library."""
