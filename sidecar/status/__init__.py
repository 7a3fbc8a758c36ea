"""The status of each domain, computed once for all readers; pure."""
