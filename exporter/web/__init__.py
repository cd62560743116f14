"""The HTTP side: routes, access, TLS."""
