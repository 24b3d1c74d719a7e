"""What happens to a pushed model: a server for development and for the check before a push."""
