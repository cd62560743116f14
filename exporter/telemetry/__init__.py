"""The exporter's series about itself and about each target's polls."""
