"""Evaluator: judges a model on the test split, beside the version that serves, and writes down why."""
