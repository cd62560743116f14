"""redpoll: a Redis exporter for Prometheus that polls in the background and answers from memory."""

__version__ = "0.1.0"
