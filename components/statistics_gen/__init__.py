"""StatisticsGen: describes each split of the data, shard by shard."""
