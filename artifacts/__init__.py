"""Names and formats of the files that steps leave in their artifacts, for other steps and for the report."""
