"""What the options say about targets that requests name."""

from __future__ import annotations

from pathlib import Path

import pytest

from exporter.app.build import Configuration, configure
from exporter.app.run import read_targets
from exporter.errors import NotAllowedError
from exporter.metrics.lane import Lane
from exporter.options.commandline import parse
from exporter.targets.address import parse_address
from exporter.targets.asked import Asked
from exporter.targets.scrape_access import ScrapeAccess


def read(*argv: str, **environ: str) -> Configuration:
    options = parse(argv, environ)
    return configure(options, read_targets(options, environ))


def access(*argv: str, **environ: str) -> ScrapeAccess:
    return read(*argv, **environ).access


class TestWhoMayBeNamed:
    def test_nobody_by_default(self) -> None:
        assert not access().allows_any
        assert not access("--redis.addr=redis://h").allows_any

    @pytest.mark.parametrize(("argv", "environ"), [(("--redis.addr=",), {}), ((), {"REDIS_ADDR": ""})])
    def test_everybody_with_an_empty_address_and_one_warning(
        self, argv: tuple[str, ...], environ: dict[str, str]
    ) -> None:
        made = read(*argv, **environ)
        assert made.access.is_open
        [warning] = made.warnings
        assert "--scrape.allow" in warning

    @pytest.mark.parametrize("addr", ["--redis.addr=", "--redis.addr=redis://h"])
    def test_else_those_of_the_list(self, addr: str) -> None:
        made = read(addr, "--scrape.allow=10.0.0.0/8,*.example")
        assert made.access.allow is not None
        assert not made.access.is_open
        assert not made.warnings
        asked = parse_address("redis://10.0.0.1")
        assert made.dial_plan.settings_of(asked).scrape_allow == made.access.allow

    def test_nobody_where_there_is_no_scrape(self) -> None:
        assert not access("--redis.addr=", "--disable-scrape-endpoint").allows_any

    def test_link_local_addresses_have_to_be_named(self) -> None:
        allow = access("--scrape.allow=169.254.169.0/24").allow
        assert allow is not None
        assert len(allow.networks) == 1


class TestCredentials:
    def test_the_common_ones(self) -> None:
        made = access("--redis.addr=", "--redis.user=u", "--redis.password=a,b", "--scrape.allow=*")
        assert (made.user, made.password) == ("u", "a,b")

    def test_those_of_a_list_are_for_their_addresses_only(self) -> None:
        two = "--redis.addr=redis://a,redis://b"
        made = access(two, "--redis.password=a,b", "--redis.user=u", "--scrape.allow=*")
        assert (made.user, made.password) == ("u", "")
        assert access(two, "--redis.password=a", "--scrape.allow=*").password == "a"

    def test_the_password_file_is_read_beside_a_password(self, tmp_path: Path) -> None:
        file = tmp_path / "passwords.json"
        file.write_text('{"redis://10.0.0.1:6379": "of-file"}')
        argv = (f"--redis.password-file={file}", "--redis.password=p", "--redis.addr=redis://h")
        assert read(*argv).passwords is None
        assert read(*argv, "--scrape.allow=10.0.0.0/8").passwords is not None


class TestGroups:
    @pytest.mark.parametrize("allow", ["'10.2.0.0/16,10.3.0.0/16'", "[10.2.0.0/16, 10.3.0.0/16]"])
    def test_those_with_the_key_allow_have_credentials_for_requests(self, tmp_path: Path, allow: str) -> None:
        file = tmp_path / "config.yml"
        file.write_text(
            "groups:\n"
            f"  cache: {{user: c, password: of-cache, allow: {allow}}}\n"
            "  orders: {user: o, password: of-orders}\n"
            "redis_instances: [{addr: 'redis://10.1.0.1', group: orders}]\n"
        )
        made = access(f"--config.file={file}", "--scrape.allow=10.0.0.0/8")
        target = made.log_in(parse_address("10.2.0.1"), Asked("", "cache"))
        assert (target.user, target.password) == ("c", "of-cache")
        assert target.login_allow is not None
        with pytest.raises(NotAllowedError):
            made.log_in(parse_address("10.2.0.1"), Asked("", "orders"))

    def test_a_change_of_others_keeps_the_passwords_that_their_commands_gave(self, tmp_path: Path) -> None:
        file = tmp_path / "config.yml"
        file.write_text(
            "groups: {cache: {password_command: [give, it], allow: '10.2.0.0/16'}}\n"
            "redis_instances: [{addr: 'redis://10.1.0.1'}]\n"
        )
        assert read(f"--config.file={file}").password_commands == {("give", "it")}


class TestWhatTheyMayNeed:
    def test_collectors_of_keys_are_ready_and_cost_no_target_anything(self) -> None:
        made = read("--redis.addr=redis://h")
        [assignment] = made.assignments
        assert made.family_sets.scan
        assert not assignment.family_sets.scan
        assert Lane.SCAN not in made.polled_lanes
        assert made.connections_each == 1

    def test_unless_there_is_no_scrape(self) -> None:
        assert not read("--redis.addr=redis://h", "--disable-scrape-endpoint").family_sets.scan

    def test_a_target_with_keys_wants_a_connection_for_scans(self) -> None:
        made = read("--redis.addr=redis://h", "--check-keys=a*")
        assert Lane.SCAN in made.polled_lanes
        assert made.connections_each == 2

    def test_tls_is_ready_where_requests_may_name_it(self) -> None:
        assert read("--redis.addr=").dial_plan.contexts
        assert not read("--redis.addr=redis://h").dial_plan.contexts
