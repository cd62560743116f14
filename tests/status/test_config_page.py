"""The pages of the options, and of what Prometheus needs."""

from __future__ import annotations

from aiohttp.test_utils import make_mocked_request

from exporter.options.commandline import parse, print_config
from exporter.options.table import OPTIONS, Options
from exporter.status.asset_files import AssetFiles
from exporter.status.config_page import ConfigPage, ConfigSources
from exporter.status.templates import Templates
from tests.status.members import no_share
from tests.status.test_overview import Reader

SECRET = "s3cret"
OPTIONS_GIVEN = parse(
    [
        f"--redis.addr=redis://user:{SECRET}@10.0.0.1:6379",
        "--web.telemetry-path=/values",
        "--basic-auth-username=prom",
        f"--basic-auth-password={SECRET}",
    ],
    {"REDIS_PASSWORD": SECRET, "REDIS_EXPORTER_POLL_INTERVAL": "7s"},
)


async def ask(
    method: str,
    query: str = "",
    options: Options = OPTIONS_GIVEN,
    host: str = "exporter:9121",
    listening: str = "0.0.0.0:9121",
) -> Reader:
    templates = Templates({"version": "1.2.3", "asset": AssetFiles().path}, no_share)
    page = ConfigPage(ConfigSources(lambda: options, lambda: [listening]), templates)
    request = make_mocked_request("GET", f"/{method}{query}", headers={"Host": host})
    answer = await getattr(page, method)(request)
    assert SECRET not in answer.text
    return Reader(answer.text)


async def test_every_option_is_shown_and_those_that_are_set_are_first() -> None:
    found = (await ask("config")).texts
    assert {f"--{option.flag}" for option in OPTIONS} <= set(found)
    at = found.index("Set here")
    given = [text for text in found[at : found.index("Redis")] if text.startswith("--")]
    assert given == [
        "--redis.addr",
        "--redis.password",
        "--poll.interval",
        "--web.telemetry-path",
        "--basic-auth-username",
        "--basic-auth-password",
    ]
    assert found[found.index("--poll.interval") + 2 :][:2] == [
        "7s",
        "environment: REDIS_EXPORTER_POLL_INTERVAL",
    ]


async def test_it_says_what_print_config_says() -> None:
    found = (await ask("config")).texts
    for line in print_config(OPTIONS_GIVEN).splitlines():
        flag, _, rest = line.partition("=")
        value, _, where = rest.rpartition("  (")
        at = found.index(flag, found.index("Set here"))
        assert found[at + 2] == (" ".join(value.split()) or "not set")
        assert found[at + 3] == where.removesuffix(")")


async def test_a_search_leaves_what_fits() -> None:
    found = (await ask("config", "?q=Telemetry")).texts
    assert "--web.telemetry-path" in found
    assert "--poll.interval" not in found
    assert "No option fits." in (await ask("config", "?q=nothing-at-all")).texts


async def test_the_set_up_has_the_address_of_the_request() -> None:
    for host, shown in (("exporter:9121", "exporter:9121"), ("<script>", "0.0.0.0:9121")):
        text = " ".join((await ask("setup", host=host)).texts)
        assert f'targets: ["{shown}"]' in text
        assert 'metrics_path: "/values"' in text
        assert 'username: "prom"' in text
        assert "scrape_interval: 7s" in text
    alone = parse(["--disable-scrape-endpoint"], {})
    assert "One scrape for each target" not in (await ask("setup", options=alone)).texts


async def test_prometheus_cannot_scrape_the_file_of_a_socket() -> None:
    text = " ".join((await ask("setup", host="", listening="unix:/run/pages.sock")).texts)
    assert 'targets: ["localhost:9121"]' in text
