"""Embedder: runs frozen hub modules over every example once, and stores their outputs."""
