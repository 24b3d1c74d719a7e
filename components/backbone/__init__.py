"""Backbone: builds a backbone that is not a hub module once as a trial, and stores its weights."""
