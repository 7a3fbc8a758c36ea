"""This mailcow: its API, its settings file, its containers, its certificates and the policy it serves."""
