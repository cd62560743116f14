"""What `redis_exporter WORD` does: one file for each word."""
