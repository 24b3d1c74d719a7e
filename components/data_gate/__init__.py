"""DataGate: stops the run for what ExampleValidator found, which by itself stops nothing."""
