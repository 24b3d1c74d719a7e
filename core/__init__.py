"""Shared by all rooms: configuration, errors, storage, TFRecords. Nothing here imports TFX or Beam."""
