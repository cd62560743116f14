"""Lanes: how often something is asked for."""

from __future__ import annotations

from enum import Enum


class Lane(Enum):
    """How often something is asked for; the value is the label."""

    __hash__ = object.__hash__  # Enum's own is written in Python, and lanes are looked up at every poll

    FAST = "fast"
    STANDARD = "standard"
    SLOW = "slow"
    SCAN = "scan"
