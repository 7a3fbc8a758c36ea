"""How each domain stands, once, for everyone who asks; pure."""
