"""The steps of a pipeline, one folder each."""

from hubline.core.adapters.tfx_components import load_on_demand

load_on_demand()
