"""Other forms of an exported model: a TFLite model, a frozen graph, a hub module."""
