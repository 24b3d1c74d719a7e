"""The report of a run: a single self-contained HTML file."""
