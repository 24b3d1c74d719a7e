"""Runs pipeline files on open-source Kubeflow Pipelines v2."""
