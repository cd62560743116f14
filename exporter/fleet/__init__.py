"""All targets: which ones there are, and when each is polled."""
