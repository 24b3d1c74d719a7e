"""Training with several workers: the Trainer step's pod creates a Kubernetes job, and watches it."""
