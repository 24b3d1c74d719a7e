"""The subpackages of Hubline."""

ROOMS = ("core", "preprocessing", "trainer", "artifacts", "report", "serving", "components", "pipeline")
"""From lowest to highest; each may import those before it."""
