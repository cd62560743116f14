"""Builds pages from the stored samples, and keeps them until they are scraped."""
