"""The state: what is kept after the process ends."""
