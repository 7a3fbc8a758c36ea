"""Learning: from the memory before and an observation to the memory after; pure."""
