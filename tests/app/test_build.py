"""From options and targets to a configuration: what is read, what is refused, and what stays the same
object."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest

from exporter.app.build import Configuration, configure, discovery_settings, web_settings
from exporter.app.run import read_targets
from exporter.errors import ConfigError
from exporter.fleet.discovery import DiscoverySettings
from exporter.metrics.lane import Lane
from exporter.options.commandline import parse
from exporter.options.values import parse_allowance
from exporter.targets.address import parse_address
from exporter.targets.target import Target
from exporter.telemetry.own_series import FAMILIES as OWN_FAMILIES
from exporter.telemetry.target_series import COST
from tests.servers import Certificates

DATA = Path(__file__).parent.parent / "data"

SECRET = "s3cret-of-mine"


def target(text: str, **changes: object) -> Target:
    place = parse_address(text)
    fields = {name: getattr(place, name) for name in Target.__dataclass_fields__}
    return Target(**{**fields, **changes})


ONE, OTHER = target("redis://one"), target("redis://other:6380")


def configured(
    *argv: str, targets: tuple[Target, ...] = (ONE, OTHER), before: Configuration | None = None
) -> Configuration:
    return configure(parse(argv, {}), targets, before)


def read(*argv: str) -> Configuration:
    """With the targets that the flags name."""
    options = parse(argv, {})
    return configure(options, read_targets(options, {}))


def names(configuration: Configuration) -> list[str]:
    return [family_set.name for family_set in configuration.family_sets.of_collectors]


def test_the_log_hears_of_intervals_that_are_no_multiples() -> None:
    made = configured("--poll.interval=10s", "--poll.collector-intervals=config=90s")
    begins = ("the standard lane runs every 20s, not 15s", "the collector config runs every 120s, not 90s")
    assert [note.partition(":")[0] for note in made.notes] == list(begins)


class TestTargets:
    def test_each_has_an_assignment(self) -> None:
        made = configured()
        assert [assignment.target for assignment in made.assignments] == [ONE, OTHER]
        one, other = made.assignments
        assert one.family_sets is other.family_sets
        assert made.targets == (ONE, OTHER)

    def test_those_with_one_interval_share_their_timing(self) -> None:
        quick = target("redis://quick", overrides=(("poll.interval", 0.5),))
        first, second, third = configured(targets=(ONE, OTHER, quick)).assignments
        assert first.timing is second.timing
        assert third.timing.interval_s == 0.5

    def test_the_password_file_has_the_password_of_those_without_one(self, tmp_path: Path) -> None:
        file = tmp_path / "passwords.json"
        file.write_text(json.dumps({"redis://one": SECRET, "redis://own": "not this"}))
        own = target("redis://own", password="its own")
        made = configured(f"--redis.password-file={file}", targets=(ONE, OTHER, own))
        assert [assignment.target.password for assignment in made.assignments] == [SECRET, "", "its own"]
        assert SECRET not in repr(made)

    def test_beside_a_password_the_password_file_is_not_read(self, tmp_path: Path) -> None:
        """As in the Go exporter: what it holds, and whether it is there, is no matter."""
        file = tmp_path / "password"
        for content in ("", "{", '{"redis://one": "other"}'):
            file.write_text(content)
            made = read(
                "--redis.addr=one,other", f"--redis.password={SECRET}", f"--redis.password-file={file}"
            )
            assert {assignment.target.password for assignment in made.assignments} == {SECRET}
            assert "--redis.password-file is not read: --redis.password gives the password" in made.notes
        file.unlink()
        read("--redis.addr=one", f"--redis.password={SECRET}", f"--redis.password-file={file}")

    def test_beside_a_password_the_file_is_read_if_a_target_needs_it(self, tmp_path: Path) -> None:
        file, instances = tmp_path / "passwords.json", tmp_path / "instances.yml"
        file.write_text(json.dumps({"redis://one": "not this", "redis://other": SECRET}))
        instances.write_text("redis_instances: [{addr: 'redis://other'}]")
        argv = ["--redis.addr=one", "--redis.password=p", f"--redis.password-file={file}"]
        made = read(*argv, f"--redis-file={instances}")
        assert [assignment.target.password for assignment in made.assignments] == ["p", SECRET]
        file.write_text("{")
        with pytest.raises(ConfigError, match="not valid JSON"):
            read(*argv, f"--redis-file={instances}")

    def test_beside_a_password_in_the_address_the_file_is_read(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match=r"--redis\.password-file"):
            read("--redis.addr=redis://u:p@one", f"--redis.password-file={tmp_path / 'none'}")

    def test_a_password_file_of_one_password_is_for_the_flags_only(self, tmp_path: Path) -> None:
        file, instances = tmp_path / "password", tmp_path / "instances.yml"
        file.write_text(f"{SECRET}\n")
        instances.write_text("redis_instances: [{addr: 'redis://other'}]")
        made = read(
            "--redis.addr=one,redis://:own@two",
            "--redis.user=watcher",
            f"--redis.password-file={file}",
            f"--redis-file={instances}",
        )
        logins = [(each.target.user, each.target.password) for each in made.assignments]
        assert logins == [("watcher", SECRET), ("watcher", "own"), ("", "")]
        assert "--redis.password-file holds one password: it is for the targets of --redis.addr" in made.notes
        assert SECRET not in repr(made)

    def test_what_is_ignored_of_addresses_and_passwords_is_told(self, tmp_path: Path) -> None:
        file = tmp_path / "passwords.json"
        file.write_text(json.dumps({"redis://h?x=1": "p", "a b": "q"}))
        made = read("--redis.addr=redis://one/1?timeout=5", f"--redis.password-file={file}")
        said = ": parameters of the address are ignored"
        assert [line.partition(" (")[0] for line in made.warnings] == [
            f"redis://one:6379/1{said}",
            f"{file}: entry 1{said}",
            f"{file}: entry 2 is left out: the address has a space or a control character: in a user or "
            "password write a space as %20",
        ]

    def test_assignments_of_others_are_equal_when_a_target_comes(self) -> None:
        before = configured(targets=(ONE,))
        argv = [f"--redis.addr={ONE.addr},{OTHER.addr}"]
        after = configure(parse(argv, {}), (ONE, OTHER), before)
        assert after.assignments[0] == before.assignments[0]

    @pytest.mark.parametrize(
        "change", ["--poll.interval=7s", "--check-single-keys=k", "--metrics.deny=redis_up"]
    )
    def test_assignments_differ_with_what_changes_their_polls(self, change: str) -> None:
        before = configured()
        assert configured(change, before=before).assignments[0] != before.assignments[0]

    def test_a_label_that_families_have_themselves_is_a_warning(self) -> None:
        made = configured(targets=(target("redis://one", labels=(("role", "x"), ("env", "y"))),))
        [warning] = made.warnings
        assert "'role' is left off" in warning


class TestInstances:
    """Two targets that would have the same labels."""

    PLAIN, SECURE = target("redis://h:6380"), target("rediss://h:6380")

    def test_one_label_instance_twice_is_a_mistake_that_names_both(self) -> None:
        with pytest.raises(ConfigError) as caught:
            configured("--target-labels=instance", targets=(ONE, self.PLAIN, self.SECURE))
        assert 'redis://h:6380 and rediss://h:6380 both have the label instance="h:6380"' in str(caught.value)
        assert len(configured(targets=(self.PLAIN, self.SECURE)).targets) == 2

    def test_it_is_refused_in_a_reload_too_and_what_was_found_is_left_out_with_a_warning(self) -> None:
        before = configured("--target-labels=instance", targets=(ONE, self.PLAIN))
        with pytest.raises(ConfigError):
            configured("--target-labels=instance", targets=(ONE, self.PLAIN, self.SECURE), before=before)
        found = replace(self.SECURE, source="file_sd")
        after = configured("--target-labels=instance", targets=(ONE, self.PLAIN, found), before=before)
        assert [each.target for each in after.assignments] == [ONE, self.PLAIN]
        assert [line for line in after.warnings if "rediss://h:6380 is left out" in line]


class TestCatalog:
    def test_what_public_dashboards_ask_for_is_shown_by_default(self) -> None:
        rows = csv.DictReader((DATA / "dashboards" / "metrics.csv").read_text().splitlines())
        asked = {row["metric"].removesuffix("_bucket") for row in rows if not row["needs"]}
        own = {f"redis_{family.name}" for family in OWN_FAMILIES}
        assert asked - own - set(configured().catalog.names) == set()

    def test_what_polls_cost_is_on_pages_of_several_targets_only(self) -> None:
        costs = {f"redis_{family.name}" for family in COST}
        assert costs <= set(configured().catalog.names)
        assert not costs & set(configured(targets=(ONE,)).catalog.names)
        before = configured(targets=(ONE,))
        after = configured(before=before)
        assert after.family_sets is before.family_sets
        assert costs <= set(after.catalog.names)


class TestFamilySets:
    def test_info_comes_first(self) -> None:
        assert names(configured())[0] == "info"

    def test_stay_the_same_object_while_nothing_about_them_changes(self) -> None:
        before = configured()
        assert configured("--poll.interval=7s", before=before).family_sets is before.family_sets

    def test_one_more_collector_leaves_the_others(self) -> None:
        before = configured()
        after = configured("--include-modules-metrics", before=before)
        assert set(names(after)) - set(names(before)) == {"modules"}
        assert set(before.family_sets.of_collectors) < set(after.family_sets.of_collectors)

    def test_a_collector_that_comes_again_has_the_numbers_that_it_had(self) -> None:
        first = configured("--include-modules-metrics")
        off = configured(before=first)
        again = configured("--include-modules-metrics", before=off)
        assert "modules" not in names(off)
        assert set(again.family_sets.of_collectors) == set(first.family_sets.of_collectors)

    def test_one_that_changes_keeps_its_run_time_families(self) -> None:
        before = configured("--export-unknown-info")
        after = configured("--export-unknown-info", "--max-label-length=50", before=before)
        [old], [new] = (
            [each for each in made.family_sets.all if each.runtime_families is not None]
            for made in (before, after)
        )
        assert new is not old
        assert new.label_max == 50
        assert new.runtime_families is old.runtime_families
        assert new.rows is old.rows

    def test_a_scan_has_a_connection_of_its_own(self) -> None:
        assert configured().connections_each == 1
        scanning = configured("--check-keys=k*")
        assert scanning.connections_each == 2
        assert Lane.SCAN in scanning.family_sets.lanes


class TestMistakes:
    @pytest.mark.parametrize("is_change", [False, True])
    def test_a_password_file_that_cannot_be_used(self, tmp_path: Path, is_change: bool) -> None:
        before = configured() if is_change else None
        with pytest.raises(ConfigError, match=r"--redis\.password-file"):
            configured(f"--redis.password-file={tmp_path / 'none.json'}", before=before)

    def test_certificates_that_cannot_be_used(self, tmp_path: Path) -> None:
        none = tmp_path / "none.pem"
        with pytest.raises(ConfigError, match=r"none\.pem"):
            configured(f"--tls-ca-cert-file={none}", targets=(target("rediss://one"),))
        with pytest.raises(ConfigError, match=r"none\.pem"):
            configured(f"--tls-server-cert-file={none}", f"--tls-server-key-file={none}")

    def test_other_certificates_that_cannot_be_used(self, certificates: Certificates, tmp_path: Path) -> None:
        targets = (target("rediss://one"),)
        before = configured(f"--tls-ca-cert-file={certificates.ca}", targets=targets)
        none = tmp_path / "none.pem"
        for argv in (
            (f"--tls-ca-cert-file={none}",),
            (f"--tls-client-cert-file={none}", f"--tls-client-key-file={none}"),
        ):
            with pytest.raises(ConfigError, match=r"none\.pem"):
                configured(*argv, targets=targets, before=before)

    def test_certificates_are_read_again_only_if_others_are_named(
        self, certificates: Certificates, tmp_path: Path
    ) -> None:
        targets, file = (target("rediss://one"),), tmp_path / "ca.pem"
        file.write_bytes(Path(certificates.ca).read_bytes())
        before = configured(f"--tls-ca-cert-file={file}", targets=targets)
        file.unlink()
        argv = (f"--tls-ca-cert-file={file}", "--ping-on-connect")
        unrelated = configured(*argv, targets=targets, before=before)
        assert unrelated.dial_plan.settings_of(ONE).ping
        assert unrelated.dial_plan.contexts == before.dial_plan.contexts != ()
        other = configured(f"--tls-ca-cert-file={certificates.ca}", targets=targets, before=unrelated)
        assert set(other.dial_plan.contexts).isdisjoint(before.dial_plan.contexts)
        assert configured(targets=(ONE,), before=other).dial_plan.contexts == ()

    @pytest.mark.parametrize("targets", [(), (ONE,), (target("unix:///run/redis.sock"),)])
    def test_certificates_that_no_target_needs_have_to_be_usable_too(
        self, certificates: Certificates, tmp_path: Path, targets: tuple[Target, ...]
    ) -> None:
        none, junk = tmp_path / "none.pem", tmp_path / "junk.pem"
        junk.write_text("no certificate")
        key = f"--tls-client-key-file={certificates.client_key}"
        for argv, message in (
            ([f"--tls-ca-cert-file={none}"], "^--tls-ca-cert-file=.* cannot be read: No such file"),
            ([f"--tls-ca-cert-file={tmp_path}"], "^--tls-ca-cert-file=.* cannot be read: Is a directory"),
            (
                [f"--tls-ca-cert-file={junk}"],
                "^--tls-ca-cert-file=.* cannot be used: it holds no certificate",
            ),
            ([f"--tls-client-cert-file={none}", key], "^--tls-client-cert-file=.* cannot be read"),
            ([f"--tls-client-cert-file={junk}", key], "^--tls-client-cert-file=.* cannot be used"),
            ([f"--tls-client-cert-file={certificates.server}", key], "the key does not fit the certificate"),
        ):
            for before in (None, configured(targets=targets)):
                with pytest.raises(ConfigError, match=message):
                    configured(*argv, targets=targets, before=before)

    def test_basic_authentication_that_is_half_set(self) -> None:
        with pytest.raises(ConfigError, match="half set"):
            configured("--basic-auth-username=u")

    def test_a_configuration_that_is_refused_changes_nothing_of_the_one_in_use(self, tmp_path: Path) -> None:
        before = configured("--export-unknown-info")
        before.catalog.open()
        number = next(
            each.runtime_families.number("info_kiwi", "gauge", "A kiwi.", ())
            for each in before.family_sets.all
            if each.runtime_families is not None
        )
        with pytest.raises(ConfigError):
            configured("--export-unknown-info", f"--redis.password-file={tmp_path / 'none'}", before=before)
        configured("--export-unknown-info", before=before)
        assert number is not None
        assert "redis_info_kiwi" in before.catalog.names


def test_discovery_has_its_options() -> None:
    options = parse(
        [
            "--discover.interval=7s",
            "--discover.grace=8s",
            "--discover.labels=role",
            "--discover.allow=10.0.0.0/8",
            "--cluster-discover-hostnames",
        ],
        {},
    )
    allowance = parse_allowance("10.0.0.0/8")
    assert discovery_settings(options) == DiscoverySettings(7.0, 8.0, ("role",), True, allowance)


class TestTheEndpoint:
    @pytest.mark.parametrize(
        ("mode", "plain"), [("auto", True), ("instance", True), ("always", False), ("never", False)]
    )
    def test_pages_of_one_target_have_no_labels_of_it_where_prometheus_knows_them(
        self, mode: str, plain: bool
    ) -> None:
        assert web_settings(parse([f"--target-labels={mode}"], {})).plain_targets is plain

    @pytest.mark.parametrize(
        ("flags", "name", "before", "after"),
        [
            ("--health.strict", "health_strict", False, True),
            ("--disable-scrape-endpoint", "scrape_endpoint", True, False),
            ("--stale-policy=fail", "fail_when_stale", False, True),
            ("--stale-policy=serve", "fail_when_stale", False, False),
            ("--is-cluster", "discover_clusters", False, True),
            ("--cluster-discover-hostnames", "discover_hostnames", False, True),
            ("--instance-label=alias", "instance_by", "address", "alias"),
            ("--web.enable-lifecycle", "lifecycle", False, True),
            ("--web.enable-reload=false", "reload_requests", True, False),
            ("--web.open-probes", "open_probes", False, True),
            ("--web.telemetry-path=/all", "telemetry_path", "/metrics", "/all"),
            # ready when one poll has had its time
            ("--poll.interval=100ms", "ready_after_s", 5.0, 1.0),
            ("--poll.interval=1m", "ready_after_s", 5.0, 15.0),
            ("--scrape-timeout=2s", "ready_after_s", 5.0, 2.0),
            ("--connection-timeout=2s", "ready_after_s", 5.0, 2.0),
        ],
    )
    def test_has_its_options(self, flags: str, name: str, before: object, after: object) -> None:
        assert getattr(web_settings(parse([], {})), name) == before
        assert getattr(web_settings(parse([flags], {})), name) == after

    def test_has_what_it_had(self, certificates: Certificates) -> None:
        argv = [
            f"--tls-server-cert-file={certificates.server}",
            f"--tls-server-key-file={certificates.server_key}",
            "--basic-auth-username=u",
            "--basic-auth-password=p",
        ]
        before = configured(*argv)
        after = configured(*argv, "--poll.interval=7s", before=before)
        assert before.entrance.newest.auth is not None
        assert before.entrance.newest.tls is not None
        assert after.entrance is before.entrance
