"""DataGate: stops the run where ExampleValidator found anomalies, which by itself stops nothing."""
