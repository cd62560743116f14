"""What Redis says and is asked, as values: commands, facts, clusters. No I/O."""
