"""The sender keeps its connections, its pace and its word, and sends the same octets as the public path."""

from __future__ import annotations

import asyncio
import time
import tracemalloc
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import aiosmtplib
import pytest

from congvan.errors import LetterRefused
from congvan.mail import dots
from congvan.mail import sender as sender_module
from congvan.mail.journal import Journal
from congvan.mail.message import Enclosure, compose, encode_enclosures
from congvan.mail.outgoing import Outcome, Outgoing
from congvan.mail.pacing import Limits, Pacer
from congvan.mail.replies import Phase, Reply, concerns_address, judge
from congvan.mail.sender import Sender, SmtpUrl, Timeouts, UnsafeMailSettings
from congvan.mail.sink import Sink
from tests.contract.smtp_faulty import Faulty, drop, hang
from tests.contract.smtp_samples import headers

PAYLOAD = b"From: a@bql.example\r\n\r\nbody\r\n.\r\n"


def letters(count: int, domain: str = "cty.example", payload: bytes = PAYLOAD) -> Iterator[Outgoing]:
    for number in range(count):
        yield Outgoing(str(number), f"b+{number}@bql.example", f"{number}@{domain}", payload)


def sender(port: int, **options: object) -> Sender:
    return Sender(SmtpUrl("127.0.0.1", port, "none"), **options)  # type: ignore[arg-type]


@pytest.fixture
async def sink() -> AsyncIterator[Sink]:
    async with Sink() as running:
        yield running
        assert not running.connections, "a connection was left open"


async def test_every_letter_has_exactly_one_outcome_over_few_connections(sink: Sink) -> None:
    mailer = sender(sink.port, connections=4)
    outcomes = [outcome async for outcome in mailer.send(letters(1000))]
    assert len(sink.connections) == 4
    await mailer.aclose()
    assert Counter(outcome.verdict for outcome in outcomes) == {"accepted": 1000}
    assert len({outcome.key for outcome in outcomes}) == sink.accepted == 1000


class _Book:
    """A witness that keeps what it is told in order."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []

    def handing_over(self, key: str) -> bool:
        self.told.append(("dot", key))
        return True

    def ended(self, outcome: Outcome) -> None:
        self.told.append((outcome.verdict, outcome.key))


class _FullDisk(_Book):
    """A witness that cannot write down how messages end."""

    def ended(self, outcome: Outcome) -> None:
        raise OSError(28, "No space left on device")


async def test_a_journal_that_cannot_be_written_keeps_nobody_waiting_for_an_outcome(sink: Sink) -> None:
    mailer = sender(sink.port, connections=2)
    items = [replace(one, witness=_FullDisk()) for one in letters(20)]
    async with asyncio.timeout(30):
        assert [outcome.verdict async for outcome in mailer.send(items)] == ["accepted"] * 20
    await mailer.aclose()


async def test_what_was_taken_is_written_down_before_the_next_dot_leaves(
    sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As if the server were always quick enough: no dot leaves because another took too long.
    monkeypatch.setattr(dots, "DOT_S", 30.0)
    book, mailer = _Book(), sender(sink.port, connections=4)
    items = [replace(one, witness=book) for one in letters(400)]
    assert {outcome.verdict async for outcome in mailer.send(items)} == {"accepted"}
    await mailer.aclose()
    # A kill between two lines finds one letter at the most of which nobody knows what became of it.
    assert [what for what, _ in book.told] == ["dot", "accepted"] * 400
    assert [key for _, key in book.told[::2]] == [key for _, key in book.told[1::2]]


async def test_the_fast_path_sends_the_octets_of_the_public_path() -> None:
    enclosure = Enclosure.of("Công văn.pdf", "application/pdf", bytes(range(256)) * 64)
    payload = compose(headers(), ".\n..\n" + "Kính gửi\n" * 50, "<p>.</p>", encode_enclosures([enclosure]))
    async with Faulty() as server:
        mailer = sender(server.port)
        item = Outgoing("1", "b+1@bql.example", "vanthu@cty.example", payload)
        assert [outcome.verdict async for outcome in mailer.send([item])] == ["accepted"]
        await mailer.aclose()
        client = aiosmtplib.SMTP(hostname="127.0.0.1", port=server.port, local_hostname="localhost")
        async with client:
            await client.sendmail("b+1@bql.example", "vanthu@cty.example", payload[:-3])
        ours, theirs = server.taken
        assert ours.data == theirs.data == payload[:-3]
        assert (ours.mail.lower(), ours.rcpt) == (theirs.mail.lower(), theirs.rcpt)


async def test_the_library_still_lets_its_transport_be_taken_over() -> None:
    async with Faulty() as server:
        client = aiosmtplib.SMTP(hostname="127.0.0.1", port=server.port, start_tls=False)
        await client.connect()
        assert isinstance(client.transport, asyncio.Transport)
        assert client.esmtp_extensions == {}
        await client.ehlo()
        assert "pipelining" in client.esmtp_extensions
        client.close()


def test_letters_go_out_on_uvloop_too() -> None:
    uvloop = pytest.importorskip("uvloop")

    async def run() -> int:
        async with Sink() as running:
            mailer = sender(running.port)
            async for outcome in mailer.send(letters(200)):
                assert outcome.verdict == "accepted"
            await mailer.aclose()
            return running.accepted

    assert uvloop.run(run()) == 200


async def test_overlapping_calls_share_the_connections_and_keep_their_outcomes_apart(sink: Sink) -> None:
    mailer = sender(sink.port, connections=2)

    async def one(name: str) -> list[str]:
        batch = (Outgoing(f"{name}{n}", "", f"{n}@cty.example", PAYLOAD) for n in range(300))
        return [outcome.key async for outcome in mailer.send(batch)]

    first, second = await asyncio.gather(one("a"), one("b"))
    assert len(sink.connections) == 2
    await mailer.aclose()
    assert {key[0] for key in first} == {"a"}
    assert {key[0] for key in second} == {"b"}
    assert len(first) == len(second) == 300


async def test_a_batch_is_read_only_a_window_ahead_and_payloads_are_built_at_the_last_moment(sink: Sink) -> None:
    read = built = 0

    def build() -> bytes:
        nonlocal built
        built += 1
        return PAYLOAD

    def batch() -> Iterator[Outgoing]:
        nonlocal read
        for number in range(2000):
            read += 1
            yield Outgoing(str(number), "", f"{number}@cty.example", build)

    mailer = sender(sink.port, connections=2)
    told = 0
    async for _ in mailer.send(batch()):
        told += 1
        assert read - told <= sender_module.WINDOW
        assert built - told <= sender_module.WINDOW
    await mailer.aclose()
    assert told == 2000


async def test_memory_stays_flat_however_long_the_batch_is(sink: Sink) -> None:
    async def peak(count: int) -> int:
        tracemalloc.reset_peak()
        mailer = sender(sink.port)
        async for _ in mailer.send(letters(count, payload=b"From: a@b.example\r\n\r\n" + b"x" * 4000 + b"\r\n.\r\n")):
            pass
        await mailer.aclose()
        return tracemalloc.get_traced_memory()[1]

    tracemalloc.start()
    try:
        await peak(500)
        small, large = await peak(500), await peak(5000)
    finally:
        tracemalloc.stop()
    assert large <= small * 1.2


async def test_who_leaves_early_takes_back_what_was_not_started(sink: Sink) -> None:
    mailer = sender(sink.port, connections=1)
    outcomes = mailer.send(letters(200))
    first = await anext(outcomes)
    assert first.verdict == "accepted"
    await outcomes.aclose()
    await mailer.aclose()
    assert sink.accepted < 200


async def test_closing_lets_the_letter_on_the_wire_end_and_hands_the_others_back() -> None:
    reached = asyncio.Event()
    go_on = asyncio.Event()

    async def slowly(mail_from: str, rcpt_to: tuple[str, ...], data: bytes) -> str | None:
        reached.set()
        await go_on.wait()
        return None

    async with Sink(slowly) as running:
        mailer = sender(running.port, connections=1)

        async def collect() -> dict[str, Outcome]:
            return {outcome.key: outcome async for outcome in mailer.send(letters(3))}

        collecting = asyncio.create_task(collect())
        await reached.wait()
        closing = asyncio.create_task(mailer.aclose())
        await asyncio.sleep(0)
        go_on.set()
        await closing
        outcomes = await collecting
        assert [outcomes[key].verdict for key in "012"] == ["accepted", "unavailable", "unavailable"]
        assert running.accepted == 1


async def test_one_letter_that_cannot_be_built_does_not_hold_up_the_others(
    sink: Sink, caplog: pytest.LogCaptureFixture
) -> None:
    def refused() -> bytes:
        raise LetterRefused("no such thing")

    def broken() -> bytes:
        raise ZeroDivisionError

    mailer = sender(sink.port)
    batch = [*letters(3), Outgoing("x", "", "x@c.example", refused), Outgoing("y", "", "y@c.example", broken)]
    outcomes = {outcome.key: outcome.verdict async for outcome in mailer.send(batch)}
    await mailer.aclose()
    assert outcomes == {"0": "accepted", "1": "accepted", "2": "accepted", "x": "refused", "y": "unavailable"}
    assert "could not be built" in caplog.text
    assert "c.example" not in caplog.text


async def test_a_fault_of_ours_in_a_conversation_leaves_one_letter_unknown_and_sends_the_rest(
    sink: Sink, caplog: pytest.LogCaptureFixture
) -> None:
    dots: list[str] = []

    def fail_once(point: str) -> None:
        if point == "dot":
            dots.append(point)
            if len(dots) == 2:
                raise ZeroDivisionError

    mailer = sender(sink.port, connections=1, trace=fail_once)
    outcomes = {outcome.key: outcome.verdict async for outcome in mailer.send(letters(4))}
    await mailer.aclose()
    assert outcomes == {"0": "accepted", "1": "unknown", "2": "accepted", "3": "accepted"}
    assert "broke off" in caplog.text


async def test_an_envelope_sender_that_is_no_address_is_refused_here(sink: Sink) -> None:
    mailer = sender(sink.port)
    item = Outgoing("1", "b@x\r\nRCPT TO:<e@evil.example>", "v@cty.example", PAYLOAD)
    assert [outcome.verdict async for outcome in mailer.send([item])] == ["refused"]
    await mailer.aclose()
    assert sink.accepted == 0


async def test_fail_points_are_told_in_the_order_of_the_conversation() -> None:
    for extensions in (("PIPELINING", "SIZE 1000000"), ("SIZE 1000000",)):
        points: list[str] = []
        async with Faulty(extensions=extensions) as server:
            mailer = sender(server.port, connections=1, trace=points.append)
            assert [outcome.verdict async for outcome in mailer.send(letters(2))] == ["accepted"] * 2
            await mailer.aclose()
        letter = ["mail", "rcpt", "data", "body", "dot", "reply"]
        assert points == ["connect", "ehlo", *letter, *letter]


async def test_delivery_notices_are_asked_for_where_the_server_offers_them() -> None:
    item = Outgoing("1", "b@bql.example", "v@cty.example", PAYLOAD, dsn_id="018c+7f=x")
    for extensions, wanted in ((("DSN",), True), ((), False)):
        async with Faulty(extensions=extensions) as server:
            mailer = sender(server.port)
            assert [outcome.verdict async for outcome in mailer.send([item])] == ["accepted"]
            await mailer.aclose()
            (taken,) = server.taken
            assert ("RET=HDRS ENVID=018c+2B7f+3Dx" in taken.mail) == wanted
            assert ("NOTIFY=SUCCESS,FAILURE,DELAY" in taken.rcpt) == wanted


async def test_a_domain_with_diacritics_is_asked_for_in_ascii() -> None:
    async with Faulty() as server:
        mailer = sender(server.port)
        item = Outgoing("1", "b@bql.example", "vanthu@công-ty.vn", PAYLOAD)
        assert [outcome.verdict async for outcome in mailer.send([item])] == ["accepted"]
        await mailer.aclose()
        assert server.taken[0].rcpt == "RCPT TO:<vanthu@xn--cng-ty-ixa.vn>"
        assert "SMTPUTF8" not in server.taken[0].mail


async def test_the_rate_is_kept(sink: Sink) -> None:
    mailer = sender(sink.port, limits=Limits(rate_per_s=200))
    begun = time.monotonic()
    async for _ in mailer.send(letters(41)):
        pass
    assert time.monotonic() - begun >= 0.19
    await mailer.aclose()


async def test_the_rate_of_a_domain_does_not_slow_another(sink: Sink) -> None:
    mailer = sender(sink.port, limits=Limits(domain_rate_per_s=100))
    order: list[str] = []
    batch = [*letters(10, "slow.example")]
    batch += [Outgoing(f"q{n}", "", f"q@{n}.example", PAYLOAD) for n in range(50)]
    async for outcome in mailer.send(batch):
        order.append(outcome.key)
    await mailer.aclose()
    assert order[-1] == "9"


async def test_no_more_letters_than_allowed_are_on_their_way_to_one_domain() -> None:
    active: Counter[str] = Counter()
    most: Counter[str] = Counter()

    async def watch(mail_from: str, rcpt_to: tuple[str, ...], data: bytes) -> str | None:
        domain = rcpt_to[0].partition("@")[2]
        active[domain] += 1
        most[domain] = max(most[domain], active[domain])
        await asyncio.sleep(0)
        active[domain] -= 1
        return None

    async with Sink(watch) as running:
        mailer = sender(running.port, connections=6, limits=Limits(per_domain=2))
        batch = [Outgoing(f"{n}", "", f"{n}@{'ab'[n % 2]}.example", PAYLOAD) for n in range(120)]
        assert len([outcome async for outcome in mailer.send(batch)]) == 120
        await mailer.aclose()
    assert max(most.values()) <= 2


async def test_a_domain_with_one_letter_waits_for_no_domain_with_a_thousand(sink: Sink) -> None:
    mailer = sender(sink.port, connections=1)
    batch = [*letters(100, "many.example"), Outgoing("one", "", "v@one.example", PAYLOAD)]
    order = [outcome.key async for outcome in mailer.send(batch)]
    await mailer.aclose()
    assert order.index("one") < 5


async def test_pauses_double_and_end_with_the_first_letter_that_is_taken() -> None:
    given: list[str] = []
    pacer: Pacer[str] = Pacer(Limits(first_pause_s=10, longest_pause_s=35, patience_s=1000), given.append)
    for now, left in ((0.0, 10), (1.0, 9), (20.0, 20), (50.0, 35), (100.0, 35)):
        pacer.slow_down(None, now)
        assert pacer.server_pause.wait_s(now) == left
    pacer.went_well("a.example", 101.0)
    assert pacer.server_pause.wait_s(101.0) == 34
    pacer.went_well("a.example", 136.0)
    pacer.slow_down(None, 140.0)
    assert pacer.server_pause.wait_s(140.0) == 10


async def test_a_hanging_server_holds_a_letter_no_longer_than_the_worst_case() -> None:
    timeouts = Timeouts(connect_s=0.1, command_s=0.1, body_s=0.1, dot_s=0.1)
    for phase in ("banner", "ehlo", "mail", "rcpt", "data", "dot"):
        async with Faulty(**{phase: hang}) as server:  # type: ignore[arg-type]
            mailer = sender(server.port, timeouts=timeouts)
            begun = time.monotonic()
            outcomes = [outcome.verdict async for outcome in mailer.send(letters(1))]
            assert time.monotonic() - begun < timeouts.worst_s
            await mailer.aclose()
            assert outcomes == (["unknown"] if phase == "dot" else ["unavailable"])


async def test_a_letter_of_whose_dot_nobody_would_know_is_not_handed_over(sink: Sink, tmp_path: Path) -> None:
    # As when a dispatch is given up in the middle: its journal is closed, its letters are under way.
    with Journal(tmp_path, "me", 0, ["given-up"]) as journal:
        pass
    given_up = Outgoing("given-up", "", "v@one.example", PAYLOAD, witness=journal)
    mailer = sender(sink.port, connections=1)
    ended = {outcome.key: outcome.verdict async for outcome in mailer.send([given_up, *letters(1)])}
    await mailer.aclose()
    assert ended.pop("given-up") == "unavailable"
    assert list(ended.values()) == ["accepted"]
    assert sink.accepted == 1


async def test_an_idle_connection_that_the_server_closed_is_replaced() -> None:
    async with Faulty(dot=["250 ok", None]) as server:
        mailer = sender(server.port, connections=1)
        assert [outcome.verdict async for outcome in mailer.send(letters(1))] == ["accepted"]
        server.mail = [drop, None]
        assert [outcome.verdict async for outcome in mailer.send(letters(1))] == ["accepted"]
        await mailer.aclose()
        assert len(server.taken) == 2


# ---------------------------------------------------------------------------- settings and the table of replies


@pytest.mark.parametrize(
    ("text", "host", "port", "tls", "user"),
    [
        ("smtp://127.0.0.1:2525", "127.0.0.1", 2525, "none", ""),
        ("smtp://localhost", "localhost", 25, "none", ""),
        ("smtp://mail.bql.example", "mail.bql.example", 587, "starttls", ""),
        ("smtp://mail.bql.example:25?tls=none", "mail.bql.example", 25, "none", ""),
        ("smtps://v%C4%83n@mail.bql.example", "mail.bql.example", 465, "implicit", "văn"),
        ("smtp://u@mail.bql.example:587?tls=starttls", "mail.bql.example", 587, "starttls", "u"),
    ],
)
def test_a_url_says_where_and_how(text: str, host: str, port: int, tls: str, user: str) -> None:
    url = SmtpUrl.parse(text)
    assert (url.host, url.port, url.tls, url.user) == (host, port, tls, user)


@pytest.mark.parametrize(
    "text", ["http://x", "smtp://", "smtp://h?tls=ssl3", "smtps://h?tls=none", "smtp://h?colour=red", "smtp://h:x"]
)
def test_a_url_that_says_something_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        SmtpUrl.parse(text)


@pytest.mark.parametrize("text", ["smtp://u:p@mail.bql.example?tls=none", "smtp://u:p@localhost"])
def test_a_password_never_goes_in_clear(text: str) -> None:
    with pytest.raises(UnsafeMailSettings):
        SmtpUrl.parse(text)


def test_a_password_is_never_shown() -> None:
    url = SmtpUrl.parse("smtps://u@mail.bql.example", password="s3cret")
    assert url.password == "s3cret"
    assert "s3cret" not in f"{url} {url!r}"


@pytest.mark.parametrize("code", range(200, 600))
def test_every_code_in_every_phase_has_a_verdict_and_only_the_dot_can_accept(code: int) -> None:
    for phase in Phase:
        verdict = judge(phase, Reply(code, "")).verdict
        assert (verdict == "accepted") == (phase is Phase.BODY and code < 300)
        assert (verdict == "unknown") == (phase is Phase.BODY and 300 <= code < 400)
        if verdict == "refused":
            assert code >= 500


def test_a_wrong_address_is_told_from_an_unwanted_letter() -> None:
    wrong = ["5.1.1 no user", "5.1.10 null MX", "5.1.2 no domain", "5.2.1 disabled", "5.4.4 no route"]
    unwanted = ["5.7.1 policy", "5.3.4 too big", "5.7.26 DMARC", "5.6.0 content", "5.2.2 full"]
    assert all(concerns_address(Reply(550, text).enhanced, 550) for text in wrong)
    assert not any(concerns_address(Reply(550, text).enhanced, 550) for text in unwanted)
    assert concerns_address(None, 550)
    assert not concerns_address(None, 554)
