"""From raw examples to model features, with TensorFlow and TF Transform only."""
