"""Selectors of the one server that is chosen, for the rows of its dashboard."""

from __future__ import annotations

from deploy.grafana.src.panels import GREEN, ORANGE, RED

#: the server that is chosen, and its commands
ONE = 'job="$job",instance="$instance"'
CMD = f'{ONE},cmd=~"$cmd"'
#: one of them: the server leaves out empty buckets, so those of several commands do not add up
HEAT = f'{ONE},cmd="$heat"'
RATE = "[$__rate_interval]"
#: of a share: rather full, nearly full
FILL = ((None, GREEN), (0.8, ORANGE), (0.95, RED))
