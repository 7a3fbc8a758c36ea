"""Telling people of what happened, where they are: a webhook, and whatever Apprise knows."""
