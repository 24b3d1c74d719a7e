"""ExampleGen: TFRecord files in, three splits out."""
