"""The sender's view: what a mail server that wants to deliver sees of a domain.

Probes query servers and judge nothing; rules judge what the probes found and do no I/O. One small file per subject.
"""
