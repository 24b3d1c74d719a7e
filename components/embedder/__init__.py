"""Embedder: runs frozen hub modules over every example once, and keeps what they give."""
