"""Workers in pods of their own: the step's pod creates a Kubernetes job, and watches it."""
