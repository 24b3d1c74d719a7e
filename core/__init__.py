"""Shared by all subpackages: configuration, errors, storage, TFRecords. Nothing here imports TFX or Beam."""
