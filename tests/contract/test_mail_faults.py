"""Each way in which a mail server can fail has one named outcome, and never two copies of a letter."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from congvan.mail.outgoing import Outcome, Outgoing
from congvan.mail.replies import Verdict
from congvan.mail.sender import Limits, Sender, SmtpUrl, Timeouts
from tests.contract.smtp_faulty import Faulty, byte_by_byte, certificate, drop, hang, reset, then

PAYLOAD = b"From: a@bql.example\r\nSubject: x\r\n\r\n" + b"0123456789" * 800 + b"\r\n.\r\n"
BIG = b"From: a@bql.example\r\n\r\n" + (b"x" * 76 + b"\r\n") * 80_000 + b".\r\n"
SHORT = Timeouts(connect_s=0.4, command_s=0.3, body_s=2.0, dot_s=0.3)
QUICK = Limits(first_pause_s=0.01, longest_pause_s=0.05)


def outgoing(key: str = "1", **changes: Any) -> Outgoing:
    return Outgoing(
        **{"key": key, "mail_from": "b+1@bql.example", "rcpt_to": f"{key}@cty.example", "payload": PAYLOAD, **changes}
    )


def sender(server: Faulty | int, **changes: Any) -> Sender:
    port = server if isinstance(server, int) else server.port
    options = {"connections": 1, "limits": QUICK, "timeouts": SHORT, **changes}
    return Sender(options.pop("url", SmtpUrl("127.0.0.1", port, "none")), **options)


async def sent(mailer: Sender, *items: Outgoing) -> dict[str, Outcome]:
    try:
        return {outcome.key: outcome async for outcome in mailer.send(items)}
    finally:
        await mailer.aclose()


@dataclass(frozen=True)
class Case:
    """What the server does to one letter, and what has to become of it. copies: taken by the server."""

    does: str
    verdict: Verdict
    code: int | None = None
    slow_down: bool | None = None
    copies: int = 0
    server: dict[str, Any] = field(default_factory=dict)
    item: dict[str, Any] = field(default_factory=dict)


LONG = "250-" + "\r\n250-".join(["x" * 400] * 30) + "\r\n250 2.0.0 taken"
MAD = "250-" + "\r\n250-".join(["y" * 4000] * 300)

CASES = [
    Case("resets after the banner", "unavailable", slow_down=True, server={"banner": then("220 hi", reset)}),
    Case("drops instead of a banner", "unavailable", slow_down=True, server={"banner": drop}),
    Case("never sends its banner", "unavailable", slow_down=True, server={"banner": hang}),
    Case("sends its banner byte by byte", "accepted", 250, copies=1, server={"banner": byte_by_byte("220 hi")}),
    Case("says 421 at the banner", "unavailable", 421, True, server={"banner": "421 4.3.2 not now"}),
    Case("says 554 at the banner", "unavailable", 554, True, server={"banner": "554 5.7.1 go away"}),
    Case("says 421 at EHLO", "unavailable", 421, True, server={"ehlo": "421 4.3.2 closing"}),
    Case("drops at EHLO", "unavailable", None, True, server={"ehlo": drop}),
    Case("knows HELO only", "accepted", 250, copies=1, server={"ehlo": "502 5.5.1 no EHLO here"}),
    Case("says 421 at MAIL", "unavailable", 421, True, server={"mail": "421 4.3.2 closing"}),
    Case("says 451 at MAIL", "unavailable", 451, True, server={"mail": "451 4.3.0 local error"}),
    Case("says 452 storage at MAIL", "unavailable", 452, True, server={"mail": "452 4.3.1 no room"}),
    Case("refuses our sender", "unavailable", 550, True, server={"mail": "550 5.7.1 sender not allowed"}),
    Case("wants a login", "unavailable", 530, True, server={"mail": "530 5.7.0 authentication required"}),
    Case("resets at MAIL", "unavailable", None, True, server={"mail": reset}),
    Case("says 421 at RCPT", "unavailable", 421, True, server={"rcpt": "421 4.7.0 closing"}),
    Case("says 450 at RCPT", "unavailable", 450, True, server={"rcpt": "450 try later"}),
    Case("says 451 4.7.1 greylisted", "unavailable", 451, True, server={"rcpt": "451 4.7.1 greylisted"}),
    Case("says 450 4.2.0 greylisted", "unavailable", 450, False, server={"rcpt": "450 4.2.0 greylisted"}),
    Case("says 452 too many recipients", "unavailable", 452, True, server={"rcpt": "452 4.5.3 too many"}),
    Case("says 452 mailbox full", "unavailable", 452, False, server={"rcpt": "452 4.2.2 mailbox full"}),
    Case("limits the rate", "unavailable", 450, True, server={"rcpt": "450 4.7.1 rate limit 10/min"}),
    Case("knows no such user", "refused", 550, False, server={"rcpt": "550 5.1.1 no such user"}),
    Case("has a null MX", "refused", 556, False, server={"rcpt": "556 5.1.10 takes no mail"}),
    Case("has disabled the mailbox", "refused", 550, False, server={"rcpt": "550 5.2.1 disabled"}),
    Case("knows no such domain of an address", "refused", 501, False, server={"rcpt": "501 5.1.3 bad address syntax"}),
    Case("wants a whole address", "refused", 504, False,
         server={"rcpt": "504 5.5.2 <a@b>: Recipient address rejected: need fully-qualified address"}),
    Case("wants a whole greeting", "unavailable", 504, True,
         server={"rcpt": "504 5.5.2 <x>: Helo command rejected: need fully-qualified hostname"}),
    Case("does not relay for us", "unavailable", 554, True, server={"rcpt": "554 5.7.1 <a@b>: Relay access denied"}),
    Case("cannot relay", "unavailable", 550, True, server={"rcpt": "550 5.7.54 SMTP; Unable to relay recipient"}),
    Case("says at RCPT that the sender is not ours", "unavailable", 553, True,
         server={"rcpt": "553 5.7.1 <b@bql.example>: Sender address rejected: not owned by user u"}),
    Case("does not know our domain", "unavailable", 550, True, server={"rcpt": "550 5.1.8 no such sender domain"}),
    Case("has us on a list", "unavailable", 554, True, server={
        "rcpt": "554 5.7.1 Service unavailable; Client host [203.0.113.7] blocked using zen.spamhaus.org"}),
    Case("has our day's quota used up at RCPT", "unavailable", 550, True,
         server={"rcpt": "550 5.4.5 Daily user sending limit exceeded"}),
    Case("has our day's quota used up after the body", "unavailable", 550, True, copies=1,
         server={"dot": "550-5.4.5 Daily user sending limit exceeded\r\n550 5.4.5 see the help"}),
    Case("finds after the body that we may not be this sender", "unavailable", 550, True, copies=1, server={
        "dot": "550 5.7.60 SMTP; Client does not have permissions to send as this sender"}),
    Case("keeps a list of recipients to its own people", "refused", 550, False,
         server={"rcpt": "550 5.7.1 RESOLVER.RST.AuthRequired; authentication required"}),
    Case("refuses by policy", "refused", 550, False, server={"rcpt": "550 5.7.1 policy"}),
    Case("refuses without an enhanced code", "refused", 550, False, server={"rcpt": "550 khong co"}),
    Case("drops at RCPT", "unavailable", None, server={"rcpt": drop}),
    Case("hangs at RCPT", "unavailable", None, server={"rcpt": hang}),
    Case("says 421 at DATA", "unavailable", 421, True, server={"data": "421 4.3.0 closing"}),
    Case("says 451 at DATA", "unavailable", 451, True, server={"data": "451 4.3.0 no"}),
    Case("says 554 at DATA", "refused", 554, False, server={"data": "554 5.7.1 no"}),
    Case("says 250 instead of 354", "unavailable", 250, server={"data": "250 ok"}),
    Case("drops at DATA", "unavailable", None, server={"data": drop}),
    Case("resets in the middle of the body", "unavailable", None, server={"body": reset}, item={"payload": BIG}),
    Case("drops before the 250", "unknown", None, False, copies=1, server={"dot": drop}),
    Case("resets before the 250", "unknown", None, False, copies=1, server={"dot": reset}),
    Case("never answers the final dot", "unknown", None, False, copies=1, server={"dot": hang}),
    Case("says 250 and drops", "accepted", 250, copies=1, server={"dot": then("250 2.0.0 taken", drop)}),
    Case("says 421 after the body", "unavailable", 421, True, copies=1, server={"dot": "421 4.3.0 closing"}),
    Case("says 451 after the body", "unavailable", 451, True, copies=1, server={"dot": "451 4.3.0 later"}),
    Case("has no storage after the body", "unavailable", 452, True, copies=1, server={"dot": "452 4.3.1 full"}),
    Case("finds the letter too large", "refused", 552, False, copies=1, server={"dot": "552 5.3.4 too big"}),
    Case("finds spam", "refused", 554, False, copies=1, server={"dot": "554 5.7.1 spam"}),
    Case("finds no authentication", "refused", 550, False, copies=1, server={"dot": "550 5.7.26 no DMARC"}),
    Case("answers the dot with nonsense", "unknown", None, copies=1, server={"dot": "xyzzy"}),
    Case("answers the dot with 354", "unknown", 354, copies=1, server={"dot": "354 again"}),
    Case("answers the dot with nothing of a code", "unknown", None, copies=1, server={"dot": "99 odd"}),
    Case("answers in many lines", "accepted", 250, copies=1, server={"dot": "250-2.0.0 a\r\n250-b\r\n250 c"}),
    Case("answers at great length", "accepted", 250, copies=1, server={"dot": LONG}),
    Case("answers without an end", "unknown", None, copies=1, server={"dot": MAD}),
    Case("answers one line without an end", "unknown", None, copies=1, server={"dot": "250-" + "z" * 2**20}),
    Case("answers beyond ASCII", "accepted", 250, copies=1, server={"dot": "250 2.0.0 đã nhận thư"}),
    Case("answers in Windows-1258", "accepted", 250, copies=1, server={"dot": b"250 2.0.0 \xf0\xe3 nh\xe2n"}),
    Case("ends lines with a bare LF", "accepted", 250, copies=1, server={"mail": b"250-a\n250 ok"}),
    Case("answers byte by byte", "accepted", 250, copies=1, server={"dot": byte_by_byte("250-a\r\n250 ok")}),
    Case("says 250 twice to MAIL", "unavailable", None, server={"mail": "250 ok\r\n250 ok"}),
    Case("announces PIPELINING and loses it", "accepted", 250, copies=1, server={"loses_pipelined": True}),
    Case("has no PIPELINING", "accepted", 250, copies=1, server={"extensions": ("8BITMIME",)}),
    Case("has no 8BITMIME", "accepted", 250, copies=1, server={"extensions": ("PIPELINING",)}),
    Case("announces a SIZE too small", "refused", 552, False, server={"extensions": ("SIZE 5000",)}),
    Case("has no SMTPUTF8 for a name with diacritics", "refused", 553, False,
         server={"extensions": ("PIPELINING",)}, item={"rcpt_to": "văn.thư@cty.example"}),
    Case("has SMTPUTF8 for a name with diacritics", "accepted", 250, copies=1, item={"rcpt_to": "văn.thư@cty.example"}),
    Case("is never asked for what is no address", "refused", None, False, item={"rcpt_to": "not an address"}),
    Case("is never given two messages in one", "refused", None, False,
         item={"payload": b"a: b\r\n\r\n.\r\nMAIL FROM:<x@y.example>\r\n.\r\n"}),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.does.replace(" ", "-"))
async def test_a_server_that(case: Case) -> None:
    async with Faulty(**case.server) as server:
        outcome = (await sent(sender(server), outgoing(**case.item)))["1"]
        assert (outcome.verdict, len(server.taken)) == (case.verdict, case.copies), outcome
        if case.code is not None or case.verdict == "unknown":
            assert outcome.code == case.code, outcome
        if case.slow_down is not None:
            assert outcome.slow_down == case.slow_down, outcome


WITHOUT_PIPELINING = ("8BITMIME", "SMTPUTF8", "SIZE 10000000")


@pytest.mark.parametrize(
    "case", [case for case in CASES if "extensions" not in case.server], ids=lambda case: case.does.replace(" ", "-")
)
async def test_without_pipelining_a_server_that(case: Case) -> None:
    async with Faulty(**{"extensions": WITHOUT_PIPELINING, **case.server}) as server:
        outcome = (await sent(sender(server), outgoing(**case.item)))["1"]
        assert (outcome.verdict, len(server.taken)) == (case.verdict, case.copies), outcome


@pytest.mark.parametrize(
    ("server", "kept"),
    [
        ({"dot": b"250-2.0.0 Ok\0\x1b[2J\r\n250 \xc2\x85queued"}, "2.0.0 Ok[2J\nqueued"),
        ({"banner": b"554 5.7.1 Go\0\xff\x1b[2J away"}, "554 5.7.1 Go[2J away"),
    ],
    ids=["dot", "banner"],
)
async def test_what_a_server_says_is_kept_without_control_characters(server: dict[str, Any], kept: str) -> None:
    async with Faulty(**server) as faulty:
        assert (await sent(sender(faulty), outgoing()))["1"].reply == kept


async def test_a_refused_connection_is_not_now(unused_tcp_port: int) -> None:
    outcome = (await sent(sender(unused_tcp_port), outgoing()))["1"]
    assert (outcome.verdict, outcome.code, outcome.slow_down) == ("unavailable", None, True)


async def test_a_black_hole_is_not_now() -> None:
    with socket.socket() as hole:
        hole.bind(("127.0.0.1", 0))
        hole.listen(0)
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(hole.getsockname())
        outcome = (await sent(sender(hole.getsockname()[1]), outgoing()))["1"]
        for filler in fillers:
            filler.close()
    assert (outcome.verdict, outcome.code) == ("unavailable", None)
    assert "Timed out" in outcome.reply


async def test_a_name_that_does_not_resolve_is_not_now(monkeypatch: pytest.MonkeyPatch) -> None:
    async def nowhere(*_: object, **__: object) -> None:
        raise socket.gaierror(-3, "Temporary failure in name resolution")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", nowhere)
    url = SmtpUrl("mail.bql.example", 25, "none")
    outcome = (await sent(sender(0, url=url), outgoing()))["1"]
    assert outcome.verdict == "unavailable"
    assert "name resolution" in outcome.reply


async def test_one_refused_address_does_not_touch_its_neighbours_on_the_connection() -> None:
    refusals = {"2@cty.example": "550 5.1.1 no", "4@cty.example": "450 4.2.2 full"}
    async with Faulty(rcpt_by_address=refusals) as server:
        outcomes = await sent(sender(server), *(outgoing(str(number)) for number in range(1, 7)))
        assert {key: outcome.verdict for key, outcome in outcomes.items()} == {
            "1": "accepted", "2": "refused", "3": "accepted", "4": "unavailable", "5": "accepted", "6": "accepted"
        }  # fmt: skip
        assert server.sessions == 1
        assert sorted(taken.rcpt for taken in server.taken) == [f"RCPT TO:<{n}@cty.example>" for n in (1, 3, 5, 6)]


async def test_half_of_the_recipients_refused_by_a_server_that_still_wants_a_body() -> None:
    async def wants_anyway(session: Any) -> None:
        session.say("550 5.1.1 no such user")
        session.recipient = "nobody"

    async with Faulty(rcpt=[wants_anyway, None]) as server:
        outcomes = await sent(sender(server), outgoing("1"), outgoing("2"))
        assert (outcomes["1"].verdict, outcomes["2"].verdict) == ("refused", "accepted")
        assert [taken.data for taken in server.taken if taken.data.strip(b"\r\n")] == [PAYLOAD[:-3]]


async def test_greylisting_is_not_now_and_then_accepted() -> None:
    async with Faulty(rcpt=["451 4.7.1 greylisted, come back", None]) as server:
        mailer = sender(server)
        first = [outcome async for outcome in mailer.send([outgoing()])]
        second = [outcome async for outcome in mailer.send([outgoing()])]
        await mailer.aclose()
        assert [first[0].verdict, second[0].verdict] == ["unavailable", "accepted"]
        assert len(server.taken) == 1


async def test_a_connection_whose_share_is_used_up_is_replaced_without_a_word() -> None:
    async with Faulty(mail=[None, None, "421 4.7.0 enough for this session", None, None]) as server:
        outcomes = await sent(sender(server), *(outgoing(str(number)) for number in range(4)))
        assert {outcome.verdict for outcome in outcomes.values()} == {"accepted"}
        assert (server.sessions, len(server.taken)) == (2, 4)


async def test_421_to_a_letter_that_was_handed_over_is_not_answered_with_a_second_copy() -> None:
    async with Faulty(dot=[None, "421 4.3.0 closing", None]) as server:
        outcomes = await sent(sender(server), outgoing("1"), outgoing("2"))
        assert [outcomes[key].verdict for key in "12"] == ["accepted", "unavailable"]
        assert len(server.taken) == 2


async def test_a_connection_dropped_between_two_letters_is_replaced_without_a_word() -> None:
    async with Faulty(mail=[None, drop, None]) as server:
        outcomes = await sent(sender(server), outgoing("1"), outgoing("2"))
        assert {outcome.verdict for outcome in outcomes.values()} == {"accepted"}
        assert (server.sessions, len(server.taken)) == (2, 2)


async def test_a_connection_is_renewed_after_its_number_of_letters() -> None:
    async with Faulty() as server:
        limits = Limits(per_connection=2)
        await sent(sender(server, limits=limits), *(outgoing(str(number)) for number in range(6)))
        assert (server.sessions, len(server.taken)) == (3, 6)


async def test_a_doubled_250_closes_the_connection_and_shifts_no_answer() -> None:
    async with Faulty(dot=["250 ok\r\n250 ok", None, None]) as server:
        refusals = {"2@cty.example": "550 5.1.1 no"}
        server.rcpt_by_address = refusals
        outcomes = await sent(sender(server), outgoing("1"), outgoing("2"), outgoing("3"))
        assert [outcomes[key].verdict for key in "123"] == ["accepted", "refused", "accepted"]


async def test_a_server_that_takes_one_connection_gets_everything_over_it() -> None:
    async with Faulty(max_connections=1) as server:
        mailer = sender(server, connections=4)
        outcomes = await sent(mailer, *(outgoing(str(number)) for number in range(40)))
        assert {outcome.verdict for outcome in outcomes.values()} == {"accepted"}
        assert len(server.taken) == 40


async def test_a_server_that_goes_away_in_the_middle_costs_no_letter_and_doubles_none() -> None:
    async with Faulty(dot=[None] * 5 + [drop] * 100) as server:
        port = server.port
        outcomes = await sent(sender(server), *(outgoing(str(number)) for number in range(8)))
        assert [outcomes[str(number)].verdict for number in range(5)] == ["accepted"] * 5
        assert [outcomes[str(number)].verdict for number in range(5, 8)] == ["unknown"] * 3
        assert len(server.taken) == 8
    async with Faulty(port=port) as server:
        assert (await sent(sender(server), outgoing()))["1"].verdict == "accepted"


async def test_when_the_server_asks_for_time_the_rest_is_handed_back_untried() -> None:
    async with Faulty(mail="451 4.3.2 overloaded") as server:
        limits = Limits(first_pause_s=60, patience_s=1)
        outcomes = await sent(sender(server, limits=limits), *(outgoing(str(number)) for number in range(50)))
        assert {outcome.verdict for outcome in outcomes.values()} == {"unavailable"}
        assert all(outcome.slow_down for outcome in outcomes.values())
        assert sum(command.startswith("MAIL") for command in server.commands) == 1


async def test_a_domain_that_asks_for_time_does_not_hold_up_another() -> None:
    async with Faulty(rcpt_by_address={"0@slow.example": "450 4.7.1 slower"}) as server:
        items = [outgoing(str(number), rcpt_to=f"{number}@slow.example") for number in range(5)]
        items += [outgoing(str(number), rcpt_to=f"{number}@quick.example") for number in range(5, 10)]
        limits = Limits(first_pause_s=60, patience_s=1)
        outcomes = await sent(sender(server, limits=limits), *items)
        assert {outcomes[str(number)].verdict for number in range(5)} == {"unavailable"}
        assert {outcomes[str(number)].verdict for number in range(5, 10)} == {"accepted"}


# ---------------------------------------------------------------------------- TLS


def tls_url(port: int, trusted: Path | None, tls: str = "starttls", **more: str) -> SmtpUrl:
    return SmtpUrl("127.0.0.1", port, tls, ca_file=str(trusted or ""), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("implicit", [False, True])
async def test_letters_go_over_verified_tls(tmp_path: Path, implicit: bool) -> None:
    context, trusted = certificate(tmp_path, "127.0.0.1")
    async with Faulty(tls=context, implicit_tls=implicit) as server:
        url = tls_url(server.port, trusted, "implicit" if implicit else "starttls", user="u", password="p")
        outcomes = await sent(sender(server, url=url), outgoing("1"), outgoing("2", payload=BIG))
        assert {outcome.verdict for outcome in outcomes.values()} == {"accepted"}
        assert sorted(len(taken.data) for taken in server.taken) == [len(PAYLOAD) - 3, len(BIG) - 3]
        assert any(command.startswith("AUTH PLAIN") for command in server.commands)


async def test_a_certificate_that_nobody_vouches_for_is_not_trusted(tmp_path: Path) -> None:
    context, _ = certificate(tmp_path, "127.0.0.1")
    async with Faulty(tls=context) as server:
        outcome = (await sent(sender(server, url=tls_url(server.port, None)), outgoing()))["1"]
        assert (outcome.verdict, server.taken) == ("unavailable", [])
        assert "certificate" in outcome.reply.lower()


async def test_a_certificate_for_another_name_is_not_trusted(tmp_path: Path) -> None:
    context, trusted = certificate(tmp_path, "other.example")
    async with Faulty(tls=context) as server:
        outcome = (await sent(sender(server, url=tls_url(server.port, trusted)), outgoing()))["1"]
        assert (outcome.verdict, server.taken) == ("unavailable", [])


async def test_where_starttls_was_stripped_nothing_goes_in_clear() -> None:
    async with Faulty() as server:
        url = tls_url(server.port, None, user="u", password="secret")
        outcome = (await sent(sender(server, url=url), outgoing()))["1"]
        assert (outcome.verdict, server.taken) == ("unavailable", [])
        assert not [command for command in server.commands if command.startswith(("MAIL", "AUTH"))]


async def test_454_to_starttls_is_not_now() -> None:
    async with Faulty(starttls="454 4.7.0 no TLS now", extensions=("STARTTLS",)) as server:
        outcome = (await sent(sender(server, url=tls_url(server.port, None)), outgoing()))["1"]
        assert (outcome.verdict, outcome.code) == ("unavailable", 454)


async def test_a_hanging_handshake_is_not_now() -> None:
    async with Faulty(starttls=then("220 go", hang), extensions=("STARTTLS",)) as server:
        outcome = (await sent(sender(server, url=tls_url(server.port, None)), outgoing()))["1"]
        assert outcome.verdict == "unavailable"


async def test_a_wrong_password_is_nobodys_undeliverable_letter(tmp_path: Path) -> None:
    context, trusted = certificate(tmp_path, "127.0.0.1")
    async with Faulty(tls=context, auth="535 5.7.8 wrong password") as server:
        url = tls_url(server.port, trusted, user="u", password="p")
        outcome = (await sent(sender(server, url=url), outgoing()))["1"]
        assert (outcome.verdict, outcome.code) == ("unavailable", 535)
