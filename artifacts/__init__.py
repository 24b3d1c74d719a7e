"""The files that steps leave in their artifacts for other steps and for the report: their names and formats."""
