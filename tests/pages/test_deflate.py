"""Texts that are compressed by themselves, and put one behind the other."""

from __future__ import annotations

import os
import threading
import zlib

import pytest

from exporter.pages import deflate
from tests.store_fixture import gunzip_one

TEXTS = [b"", b"a", b"abc" * 30_000, os.urandom(70_000)]


def member(*texts: bytes) -> bytes:
    """A gzip member of all of them."""
    whole = b"".join(texts)
    body = b"".join(map(deflate.compress, texts[:-1])) + deflate.finish(texts[-1])
    end = deflate.crc32(whole).to_bytes(4, "little") + len(whole).to_bytes(4, "little")
    return deflate.GZIP_HEADER + body + end


@pytest.mark.parametrize(
    "last", [*TEXTS, b"a" * deflate.STORED_MAX, b"a" * (deflate.STORED_MAX + 1)], ids=len
)
def test_they_make_one_gzip_member_in_any_order(last: bytes) -> None:
    for texts in (TEXTS, TEXTS[::-1]):
        assert gunzip_one(member(*texts, last)) == b"".join(texts) + last


@pytest.mark.parametrize("text", TEXTS, ids=len)
def test_one_is_inflated_without_those_before_it(text: bytes) -> None:
    deflate.compress(b"abc" * 30_000)
    packed = deflate.compress(text)
    assert deflate.inflate(packed) == text
    assert zlib.decompressobj(-15).decompress(packed) == text


def test_a_short_end_needs_no_compressor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deflate, "compress", None)
    assert deflate.inflate(deflate.finish(b"a" * deflate.STORED_MAX)) == b"a" * deflate.STORED_MAX


def test_a_text_that_failed_leaves_nothing_behind() -> None:
    with pytest.raises(TypeError):
        deflate.compress(None)  # type: ignore[arg-type]
    assert deflate.inflate(deflate.compress(b"abc")) == b"abc"


def test_threads_do_not_disturb_each_other() -> None:
    def work(number: int) -> None:
        text = b"%d," % number * 5000
        failed.extend(text for _ in range(200) if deflate.inflate(deflate.compress(text)) != text)

    failed: list[bytes] = []
    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []


def test_checksums_are_joined() -> None:
    one, other = TEXTS[2], TEXTS[3]
    joined = deflate.crc32_combine(deflate.crc32(one), deflate.crc32(other), len(other))
    assert joined == zlib.crc32(one + other)
