"""Evaluator: evaluates a model on the test split next to the serving version, and records the decision and its
reasons."""
