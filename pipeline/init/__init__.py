"""`hubline init`: looks at data and writes a pipeline file for it."""
