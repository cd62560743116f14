"""Which servers are watched: addresses, the instances file, passwords, labels."""
