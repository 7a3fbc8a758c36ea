"""The MTA-STS sidecar for mailcow: inbound MTA-STS (RFC 8461) kept right for every mail domain."""
