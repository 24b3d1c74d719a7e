"""KServe: makes an InferenceService serve the version that Pusher pushed, and rolls back if it doesn't become ready."""
