"""Questions to the world, each with a deadline, each answered by a value of `sidecar.verify.seen`; no opinions."""
