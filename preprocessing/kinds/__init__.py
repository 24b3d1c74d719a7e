"""The kinds of feature, one module each: a kind's keys in the pipeline file, its transformation and its input layer."""
