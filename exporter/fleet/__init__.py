"""All targets: who is polled when, and in which order."""
