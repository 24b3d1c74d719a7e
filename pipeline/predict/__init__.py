"""The command `hubline predict`: predictions of a pushed model or a hub module."""
