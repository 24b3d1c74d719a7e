"""Types of the pipeline file sections that steps own."""
