"""Private parts of the libraries that steps use, one module for each library."""
