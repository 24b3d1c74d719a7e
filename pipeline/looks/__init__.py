"""Looks at what a pipeline file refers to: data, modules, sources and destinations."""
