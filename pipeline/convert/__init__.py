"""`hubline convert`: CSV and Parquet files to TFRecords of tf.Examples."""
