"""The rules that records must keep: each gives TensorFlow's mask of a batch, and words for one record."""
