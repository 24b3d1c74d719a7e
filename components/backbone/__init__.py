"""Backbone: the step that tries a backbone out which is no hub module, and keeps its weights."""
