"""ParsingSchema: the schema used for parsing records, once the data has been validated against its own schema."""
