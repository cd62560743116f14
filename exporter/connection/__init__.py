"""One connection to one server: connecting, logging in, sending commands, reading replies."""
