"""Builds the exporter from its options, starts it, reloads it and stops it."""
