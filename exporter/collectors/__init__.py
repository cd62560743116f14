"""What to ask a server and which samples to write: one file for each collector, without I/O."""
