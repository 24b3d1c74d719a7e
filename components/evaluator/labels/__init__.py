"""How a model is evaluated on each kind of label."""
