"""Rules: what was read or brought by a probe goes in, findings come out. They ask nothing and know no clock."""
