"""Which servers to watch: addresses, the instances file, passwords, labels."""
