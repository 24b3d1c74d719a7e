"""ExampleGen: reads TFRecord files and divides their records into three splits."""
