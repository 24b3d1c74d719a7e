"""The report on predictions for each kind of label."""
