"""Rules that span sections of the pipeline file."""
