"""Which DNS records should be published, whose those are that exist, and what may be changed now; pure."""
