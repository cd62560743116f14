"""What other programs use: render INFO, read client lists, run an exporter inside a program."""
