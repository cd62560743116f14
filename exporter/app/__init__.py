"""Putting the parts together, starting and stopping them."""
