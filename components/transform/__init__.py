"""Transform: the step that computes what depends on the whole training split, and makes the transform graph."""
