"""Model features to a trained and exported model, with TensorFlow only."""
