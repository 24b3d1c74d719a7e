"""What training knows of each kind of label."""
