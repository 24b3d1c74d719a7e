"""The YAML of pipeline files: its values, and the likely causes of its errors."""
