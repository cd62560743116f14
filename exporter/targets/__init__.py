"""Which servers to watch: addresses, the configuration file, lists, passwords, labels, shards."""
