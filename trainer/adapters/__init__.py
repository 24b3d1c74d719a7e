"""Private parts of the libraries that training uses, one module for each library."""
