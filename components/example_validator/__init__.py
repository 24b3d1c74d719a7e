"""ExampleValidator: validates the data against its schema, the pipeline file and a baseline."""
