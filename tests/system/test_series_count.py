"""A default page of one target has few more series than the Go exporter's of the same server."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.go_series import OURS, SITUATIONS, page_of, recorded, series_of, server_in, table

#: as many times the Go exporter's series a page may have
AT_MOST = 1.3


@pytest.mark.server
@pytest.mark.parametrize("situation", SITUATIONS)
def test_a_default_page_is_little_larger_than_the_go_exporter_s(situation: str, tmp_path: Path) -> None:
    with server_in(situation, tmp_path) as server:
        ours = series_of(page_of(OURS, server))
    older, newest = recorded()[situation].values()
    assert ours.total() <= AT_MOST * newest.total(), table(ours, newest)
    # what the Go exporter has learnt since its older version is on our page too, and on no page of that one
    same = Counter({family: series for family, series in ours.items() if older[family] or not newest[family]})
    assert same.total() <= AT_MOST * older.total(), table(same, older)
