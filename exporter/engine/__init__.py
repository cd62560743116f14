"""Turns replies into samples and pages: picks the compiled engine, or the plain Python one with a warning."""

from __future__ import annotations

import logging
import os

if os.environ.get("REDPOLL_ENGINE") == "python":
    from exporter.engine import plain as engine
else:
    try:
        from exporter import _fastparse as engine  # type: ignore[no-redef]
    except ImportError:
        from exporter.engine import plain as engine

        logging.getLogger(__name__).warning(
            "the compiled engine is not built (make build): using the plain Python one, about 30 times slower"
        )

ENGINE = engine.ENGINE
FIELD, RECORD, EVERY_SUB_FIELD = engine.FIELD, engine.RECORD, engine.EVERY_SUB_FIELD
MORE, DONE, TOO_LARGE, SKIPPED, BROKEN, HOPELESS = (
    engine.MORE, engine.DONE, engine.TOO_LARGE, engine.SKIPPED, engine.BROKEN, engine.HOPELESS,
)  # fmt: skip
EPOLL = engine.EPOLL
Assembler = engine.Assembler
Block = engine.Block
Channel = engine.Channel
Exchanger = engine.Exchanger
Frames = engine.Frames
Labels = engine.Labels
LineOrder = engine.LineOrder
Plan = engine.Plan
Segments = engine.Segments
TargetSamples = engine.TargetSamples
Received = engine.Received
Traffic = engine.Traffic
Writer = engine.Writer
add_timestamps = engine.add_timestamps
ages = engine.ages
client_rows = engine.client_rows
escape = engine.escape
follow = engine.follow
heads_of = engine.heads_of
histogram_rows = engine.histogram_rows
sift = engine.sift
tally_clients = engine.tally_clients
strip_labels = engine.strip_labels
