"""Polls one target: when, which commands, and what happens with the replies."""
