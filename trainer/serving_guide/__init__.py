"""The files beside an exported SavedModel that tell clients how to ask it."""
