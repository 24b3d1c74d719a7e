"""`hubline init`: profiles data and writes a pipeline file for it."""
