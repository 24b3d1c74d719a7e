"""Transform: computes the statistics that features need from the whole training split, and builds the transform
graph."""
