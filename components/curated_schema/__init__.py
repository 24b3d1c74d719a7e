"""CuratedSchema: uses a schema maintained by hand instead of an inferred one."""
