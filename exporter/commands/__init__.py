"""The commands besides serving, one module each."""
