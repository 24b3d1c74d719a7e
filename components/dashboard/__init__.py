"""Dashboard: publishes a run's results as artifacts that the Kubeflow Pipelines dashboard renders."""
