"""DataGate: stops the run if ExampleValidator found anomalies, because ExampleValidator itself never fails."""
