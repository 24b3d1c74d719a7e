"""Work over shards, written once as a function of a shard: in this process, in several, or on an engine."""
