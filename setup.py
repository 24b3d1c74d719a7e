"""Packaging: `pip install .` provides the `hubline` command. The metadata is in pyproject.toml; Beam's option
`setup_file` and other tools look for this file."""

from setuptools import setup

setup()
