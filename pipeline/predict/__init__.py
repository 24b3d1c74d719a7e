"""The command `hubline predict`: asks a pushed model or a hub module."""
