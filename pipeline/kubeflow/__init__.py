"""The same pipeline file on open-source Kubeflow Pipelines v2."""
