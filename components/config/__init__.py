"""The types of the sections of the pipeline file that steps own."""
