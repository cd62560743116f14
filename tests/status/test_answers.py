"""What browsers may do with an answer."""

from __future__ import annotations

from exporter.status.answers import POLICY, html_answer


def test_a_page_says_what_a_browser_may_do() -> None:
    answer = html_answer("<p>ä", 404)
    assert (answer.status, answer.content_type, answer.charset) == (404, "text/html", "utf-8")
    assert answer.headers["Content-Security-Policy"] == POLICY
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["Cache-Control"] == "no-store"


def test_the_policy_allows_only_what_this_exporter_serves() -> None:
    rules = dict(rule.split(" ", 1) for rule in POLICY.split("; "))
    assert rules["default-src"] == rules["base-uri"] == rules["frame-ancestors"] == "'none'"
    assert {word for rule in rules.values() for word in rule.split()} == {"'none'", "'self'", "data:"}
    assert "data:" not in rules["script-src"] + rules["style-src"]
