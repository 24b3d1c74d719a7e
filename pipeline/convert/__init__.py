"""`hubline convert`: tables, images, texts, videos and boxes to TFRecords of tf.Examples."""
