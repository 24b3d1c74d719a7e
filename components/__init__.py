"""The steps: TFX components of our own, one folder each."""
