"""Shared test fixtures: small real data sets, modules and servers."""
