"""ExampleValidator: finds what is wrong with the data, against its schema, the pipeline file and a baseline."""
