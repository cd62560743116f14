"""Stands for a watched target where that must not be kept: the objects of compiled classes have no weak
references. Not compiled, for that reason."""

from __future__ import annotations


class Identity:
    """One for each watched target, and it goes with it."""

    __slots__ = ("__weakref__",)
