"""Settles the facts that only a run can know, before any step: they become properties that every cache sees."""
