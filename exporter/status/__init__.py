"""What people look at: rows, pages, plots and JSON about the exporter and its targets."""
