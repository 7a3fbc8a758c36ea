"""acme-mailcow: its names, its checks, and when it may be restarted; pure."""
