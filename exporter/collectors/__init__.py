"""What is asked of a server and what is written of it: one file for each collector."""
