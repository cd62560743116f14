"""The exporter's series about itself and about the polls of each target."""
