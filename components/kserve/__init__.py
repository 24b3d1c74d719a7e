"""KServe: has an InferenceService serve the version that Pusher pushed, or what served before."""
