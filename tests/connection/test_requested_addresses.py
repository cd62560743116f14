"""Where targets may be dialled that requests name: whatever they write, and wherever a name leads."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import replace

import pytest

from bench.ports import free_port
from exporter.connection.dialer import Dialer
from exporter.connection.requested_addresses import allowed, check
from exporter.connection.resolver import Resolver
from exporter.connection.settings import DialSettings
from exporter.errors import DnsError, NotAllowedError, RefusedError, RequestError
from exporter.options.values import parse_allowance
from exporter.targets.address import parse_address
from exporter.targets.target import Target
from tests.servers import PATIENCE_S

#: what the scripted resolver knows
NAMES = {
    "inside.example": ["10.1.0.5"],
    "outside.example": ["192.0.2.1"],
    "both.example": ["192.0.2.1", "10.1.0.5"],
    "metadata.example": ["169.254.169.254"],
    "mapped.example": ["::ffff:169.254.169.254"],
    "example": ["192.0.2.1"],
}


def asked(host: str, **more: object) -> Target:
    return replace(parse_address(f"redis://{host}:6379"), source="adopted", **more)  # type: ignore[arg-type]


def look_up(host: str) -> Sequence[str]:
    if host.rstrip(".") not in NAMES:
        raise OSError("no such name")
    return NAMES[host.rstrip(".")]


def dialer(allow: str) -> Dialer:
    settings = DialSettings(scrape_allow=parse_allowance(allow, link_local=True))
    return Dialer(settings, resolver=Resolver(look_up=look_up))


async def is_allowed(allow: str, host: str) -> bool:
    try:
        await check(dialer(allow), asked(host), PATIENCE_S)
    except NotAllowedError:
        return False
    return True


class TestWhatIsNamed:
    @pytest.mark.parametrize(
        ("allow", "host"),
        [
            ("10.0.0.0/8", "10.1.0.5"),
            ("10.0.0.0/8", "[::ffff:10.1.0.5]"),
            ("::ffff:10.0.0.0/104", "10.1.0.5"),
            ("10.0.0.0/8", "inside.example"),
            ("10.0.0.0/8", "INSIDE.example."),
            ("*.example", "outside.example"),
            ("*.example", "outside.example."),
            ("o?tside.*", "outside.example"),
            ("*", "192.0.2.1"),
            ("*", "[2001:db8::1]"),
            ("10.0.0.0/8,fd00::/8", "[fd00::7]"),
            ("169.254.169.254", "169.254.169.254"),
            ("169.254.0.0/16", "metadata.example"),
            ("fe80::/10", "[fe80::1%eth0]"),
            ("", "192.0.2.1"),  # without a list anything but what follows below
            ("", "outside.example"),
        ],
    )
    async def test_is_allowed(self, allow: str, host: str) -> None:
        assert await is_allowed(allow, host)

    @pytest.mark.parametrize(
        ("allow", "host"),
        [
            ("10.0.0.0/8", "11.1.0.5"),
            ("10.0.0.0/8", "[::ffff:11.1.0.5]"),
            ("10.0.0.0/8", "outside.example"),  # a name whose address lies outside
            ("inside.*", "outside.example"),
            ("*.example", "example"),
            ("f*", "[fd00::1]"),  # a pattern of names is none of addresses
            ("*.example", "192.0.2.1"),
            ("10.0.0.0/8", "[64:ff9b::10.1.0.5]"),  # a way to the address is not the address
            ("10.0.0.0/8", "[2002:a01:5::]"),
            ("*", "169.254.169.254"),
            ("0.0.0.0/0,::/0", "169.254.169.254"),
            ("*", "[::ffff:169.254.169.254]"),
            ("*", "[64:ff9b::169.254.169.254]"),
            ("*", "[fe80::1]"),
            ("*", "metadata.example"),
            ("*.example", "mapped.example"),
            ("169.254.1.1", "169.254.169.254"),
            ("", "169.254.169.254"),
            ("", "[fe80::1%eth0]"),
            ("", "metadata.example"),
        ],
    )
    async def test_and_nothing_else(self, allow: str, host: str) -> None:
        assert not await is_allowed(allow, host)

    @pytest.mark.parametrize(
        "host", ["2130706433", "0x7f.1", "127.1", "0177.0.0.1", "0x7f000001", "10.1", "1.2.3.4.5", "0"]
    )
    @pytest.mark.parametrize("allow", ["", "*", "0.0.0.0/0"])
    async def test_an_address_in_another_form_is_an_error(self, allow: str, host: str) -> None:
        with pytest.raises(RequestError, match="written in full"):
            await check(dialer(allow), asked(host), PATIENCE_S)

    async def test_of_several_addresses_those_are_dialled_that_are_allowed(self) -> None:
        allowance = parse_allowance("10.0.0.0/8")
        target = asked("both.example")
        assert allowed(allowance, target, NAMES["both.example"]) == ("10.1.0.5",)
        assert allowed(None, target, NAMES["both.example"]) == ("192.0.2.1", "10.1.0.5")

    async def test_a_login_goes_only_where_it_may(self) -> None:
        allowance = parse_allowance("10.0.0.0/8")
        target = asked("10.1.0.5", login_allow=parse_allowance("10.2.0.0/16"))
        with pytest.raises(RefusedError):
            allowed(allowance, target, ["10.1.0.5"])
        assert allowed(allowance, target, ["10.2.0.1"]) == ("10.2.0.1",)

    async def test_the_answer_names_the_rule_that_does_not_hold_the_target(self) -> None:
        group = parse_allowance("10.2.0.0/16")
        for host, rule in (("10.1.0.5", "the key allow of the group"), ("192.0.2.1", "--scrape.allow")):
            with pytest.raises(NotAllowedError, match=f"^target: {rule}.* does not allow redis://{host}"):
                await check(dialer("10.0.0.0/8"), asked(host, login_allow=group), PATIENCE_S)

    async def test_the_answer_does_not_tell_what_a_name_means(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO)
        with pytest.raises(NotAllowedError) as refusal:
            await check(dialer("10.0.0.0/8"), asked("outside.example"), PATIENCE_S)
        assert str(refusal.value) == "target: --scrape.allow does not allow redis://outside.example:6379"
        assert "192.0.2.1" in caplog.text


class TestLookUp:
    async def test_a_name_that_has_no_address_is_judged_when_it_is_dialled(self) -> None:
        await check(dialer("10.0.0.0/8"), asked("nowhere.example"), PATIENCE_S)
        with pytest.raises(DnsError):
            await dialer("10.0.0.0/8").dial(asked("nowhere.example"), time.monotonic() + PATIENCE_S)

    async def test_one_that_takes_long_too(self) -> None:
        asking = dialer("10.0.0.0/8")

        async def resolve(host: str, port: int, *, trusted: bool = True) -> tuple[str, ...]:
            assert not trusted  # so it takes no place from the names of configured targets
            await asyncio.Event().wait()
            return ()

        asking.resolve = resolve  # type: ignore[method-assign]
        await asyncio.wait_for(check(asking, asked("slow.example"), 0.01), PATIENCE_S)


class TestDial:
    async def test_the_addresses_of_a_name_are_checked_at_each_dial(self) -> None:
        """A name that led inside leads outside now: nothing is sent there."""
        asking = dialer("10.0.0.0/8")
        target = asked("moves.example")
        answers = [["10.1.0.5"], ["127.0.0.1"]]

        async def resolve(host: str, port: int, *, trusted: bool = True) -> tuple[str, ...]:
            assert not trusted
            return tuple(answers.pop(0))

        asking.resolve = resolve  # type: ignore[method-assign]
        await check(asking, target, PATIENCE_S)
        with pytest.raises(RefusedError, match=r"--scrape\.allow"):
            await asking.dial(target, time.monotonic() + PATIENCE_S)
        assert answers == []

    async def test_a_configured_target_is_dialled_wherever_it_is(self) -> None:
        target = replace(asked("127.0.0.1"), source="flags", port=free_port())
        with pytest.raises(RefusedError) as refusal:
            await dialer("10.0.0.0/8").dial(target, time.monotonic() + PATIENCE_S)
        assert "--scrape.allow" not in str(refusal.value)
