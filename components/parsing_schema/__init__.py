"""ParsingSchema: the schema by which records are parsed, once the data has been held to its own."""
