"""Reads and writes record sets where they are kept: at a primary server, or through a host's API."""
