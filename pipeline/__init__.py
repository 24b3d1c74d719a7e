"""What runs, and where: the pipeline file, the graph, the runners, the command line."""
