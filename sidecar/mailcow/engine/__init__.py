"""The Docker engine and mailcow's containers."""
