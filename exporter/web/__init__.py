"""Answers HTTP requests: routes, access, limits, TLS."""
