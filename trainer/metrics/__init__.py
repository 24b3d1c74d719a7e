"""Keras metrics, which training and the evaluation share.

They take labels and predictions in the format in which the Evaluator stores predictions, so that each metric has one
definition. TFMA looks up a class name in its own and Keras' modules first, so the names here differ from all of theirs.
"""
