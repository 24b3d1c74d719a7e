"""What every room uses: configuration, errors, storage, TFRecords. Nothing here imports TFX or Beam."""
