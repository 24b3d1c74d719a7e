"""The pipeline file, the graph of steps, the runners and the command line."""

from hubline.core.adapters.tfx_components import load_on_demand

load_on_demand()
