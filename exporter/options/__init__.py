"""What the operator can set: flags, environment variables, and how their values are written."""
