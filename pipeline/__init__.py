"""What runs, and where: the pipeline file, the graph, the runners, the command line."""

from hubline.core.adapters.tfx_components import load_on_demand

load_on_demand()
