"""Scaffolding that tests share: small real data sets, modules and servers."""
