"""Targets in files of Prometheus' file_sd form, followed as they change."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import partial
from typing import NamedTuple

from exporter import files, masks
from exporter.folder_watcher import FolderWatcher, folders_of
from exporter.targets.source import Changed, SourceHealth, merge
from exporter.targets.target import Target
from exporter.targets.target_groups import Found, TargetGroupsError, read_json, read_yaml_text


class _Read(NamedTuple):
    """The newest reading of a file, and the targets that it had when it could be used last."""

    stamp: files.Stamp
    targets: Sequence[Target]


@dataclass(frozen=True)
class FileSd:
    """The files that match `pattern`, whose last part may have wildcards. A file that cannot be used keeps
    the targets that it had before; a file that goes takes its targets with it. All are read again after
    `refresh_s`, and each when it changes."""

    pattern: str
    refresh_s: float
    limits: files.FileLimits = files.DEFAULT
    health: SourceHealth = field(default_factory=SourceHealth, compare=False)

    @property
    def name(self) -> str:
        return f"--targets.file-sd={masks.mask(self.pattern)}"

    async def run(self, changed: Changed) -> None:
        watcher = FolderWatcher()
        known: dict[str, _Read] = {}
        read_at = time.monotonic()
        try:
            while True:
                is_due = time.monotonic() - read_at >= self.refresh_s
                if is_due:
                    read_at = time.monotonic()
                known = await watcher.call(partial(self._read_all, known, is_due))
                changed(merge(read.targets for read in known.values()))
                await watcher.wait(await watcher.call(partial(folders_of, [self.pattern, *known])))
        finally:
            watcher.close()

    def _read_all(self, before: dict[str, _Read], is_due: bool) -> dict[str, _Read]:
        """Read the files that have changed, or all of them."""
        names = self._names()
        if names is None:
            return before
        found, failures = {}, self.health.failures
        for name in names:
            known = before.get(name)
            if known is not None and not is_due and files.stamp(name) == known.stamp:
                found[name] = known
            else:
                found[name] = self._read(name, known)
        for name in before.keys() - found.keys():
            self.health.fault(masks.mask(name), "")
        if failures == self.health.failures:
            self.health.succeed()
        return found

    def _names(self) -> list[str] | None:
        """None if the folder cannot be looked into."""
        folder, pattern = os.path.split(self.pattern)
        try:
            found = os.listdir(folder or ".")
        except (FileNotFoundError, NotADirectoryError):
            found = []
        except OSError as error:
            self.health.fail(self.name, error.strerror or type(error).__name__)
            return None
        hidden = pattern.startswith(".")
        return sorted(
            os.path.join(folder, name)
            for name in found
            if fnmatchcase(name, pattern) and (hidden or not name.startswith("."))
        )

    def _read(self, name: str, known: _Read | None) -> _Read:
        stamp, shown = files.stamp(name), masks.mask(name)
        targets = known.targets if known is not None else ()
        try:
            found = self._load(name)
        except (files.FileError, TargetGroupsError) as error:
            self.health.fail(shown, str(error))
        else:
            self.health.fault(shown, "; ".join(found.faults))
            targets = found.targets
        return _Read(stamp, targets)

    def _load(self, name: str) -> Found:
        text = files.within(lambda: files.read_text(name, self.limits.max_bytes), self.limits.timeout_s)
        return read_json(text, "file_sd") if name.endswith(".json") else read_yaml_text(text, "file_sd")
