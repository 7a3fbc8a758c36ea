"""This machine: files, lock, log, clock, process, errors."""
