"""Jobs on a Beam engine: a look at its workers before the first one, progress, cancelling, and errors that name what
happened."""
