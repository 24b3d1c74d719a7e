"""ServingCheck: whether a server answers as the trained model does, before the push."""
