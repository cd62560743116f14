"""What Redis says, as values without I/O: commands, replies, facts, cluster nodes."""
