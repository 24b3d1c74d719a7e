"""Rules for the pipeline file as a whole, for each kind of label."""
