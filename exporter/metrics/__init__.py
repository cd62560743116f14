"""What a metric is, which ones there are, and the newest samples of each target."""
