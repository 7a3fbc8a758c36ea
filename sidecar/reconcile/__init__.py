"""The one pass: observe, learn, apply, record."""
