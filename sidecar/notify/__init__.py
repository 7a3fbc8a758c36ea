"""Notifications to people: by a webhook, or by any service that Apprise supports."""
