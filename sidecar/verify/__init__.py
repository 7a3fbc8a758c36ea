"""The sender's view: what a mail server that wants to deliver sees of a domain.

Probes ask the world and know no opinion; rules judge what they brought and ask nothing. One small file a subject.
"""
