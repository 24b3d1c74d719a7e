"""`make test-containers`: a compiled package, run by KFP's local runner in real containers, beside a local run."""
