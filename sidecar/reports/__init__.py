"""TLS reports of senders (RFC 8460): the ways in, the proof of origin, and the store."""
