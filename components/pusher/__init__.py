"""Pusher: delivers a blessed model to the serving folder as a new version."""
