"""Dashboard: what a run came to, as the artifacts that the dashboard of Kubeflow Pipelines draws."""
