"""The kinds of label, one module each."""
