"""The dashboards of deploy/grafana/dashboards, as code: one module for each, `BOARD` in it. `make dashboards`
writes them.

`board` lays panels out, `panels` makes them, `variables` makes what is chosen above them, `lanes` knows how
often each metric changes.
"""
