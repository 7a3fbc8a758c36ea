"""What the sidecar costs and how quick it is; run by hand: `make bench`."""
