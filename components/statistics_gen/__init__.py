"""StatisticsGen: computes statistics of each split, shard by shard."""
