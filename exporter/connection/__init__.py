"""One connection to one server: connect, log in, send commands, read replies."""
