"""What the operator can set: flags, variables, the configuration file, and how values are written."""
