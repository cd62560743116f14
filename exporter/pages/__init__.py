"""From stored samples to the bytes of a page."""
