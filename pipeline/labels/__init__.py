"""What the pipeline file as a whole must obey for each kind of label."""
