"""What the operator can set: flags, environment variables, and how values are written."""
