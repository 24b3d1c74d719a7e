"""What runs, and where: the pipeline file, the graph, the runners, the command line."""

import preprocessing  # noqa: F401 - settles Keras 2 before TensorFlow is imported
