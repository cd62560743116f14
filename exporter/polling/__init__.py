"""Polling one target: when, which commands, and what becomes of the replies."""
