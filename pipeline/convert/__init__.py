"""`hubline convert`: tables, images, texts, videos and bounding boxes to TFRecords of tf.Examples."""
