"""`make test-containers`: runs a compiled package with KFP's local runner in containers, and compares with a local
run."""
