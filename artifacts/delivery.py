"""Custom properties of artifacts that say what a step delivered outside of them."""

# Those in which TFX's own Pusher records where a model went.
DESTINATION, VERSION, PUSHED = "pushed_destination", "pushed_version", "pushed"
PUBLISHED = "published_module"
"""The path of the hub module that the run published, or of the same one published before."""
DIGEST = "digest"
"""The digest of the files, if this run pushed them."""

WITHDRAWN = "withdrawn"
"""The reason why the model was not pushed, if it was rolled back."""
WAITING, APPROVE = "waiting_model", "approve_command"
"""The folder in which the model waits for approval, and the command that approves it."""

DELIVERED = (DESTINATION, WAITING)
"""Those that name folders outside of the artifact."""
