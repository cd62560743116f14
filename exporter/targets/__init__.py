"""Which servers to watch: addresses, the configuration file, passwords, labels."""
