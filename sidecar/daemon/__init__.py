"""Keeps the passes going: loop, triggers, wiring."""
