"""Rules: what was read or found by a probe goes in, findings come out. They do no I/O and read no clock."""
