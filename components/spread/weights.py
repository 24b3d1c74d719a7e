"""How much work there is in a byte."""

INGESTED, DESCRIBED, IMAGES_DESCRIBED, ANALYZED = 0.25, 1.0, 0.0625, 0.25
EVALUATED, EMBEDDED, PREDICTED, HEADS = 4.0, 16.0, 16.0, 0.25
"""Weights of a byte, by what a step does with it.

Relative to the statistics of a table, of which a core describes some 7 MB a second: it ingests and analyzes four times
as many, and skips the pixels of images. Metrics take longer for the few bytes of a prediction, and so do models for a
picture. The heads of models only read vectors.
"""
