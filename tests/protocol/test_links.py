"""Links: what was not issued by us, or changed by one letter, opens nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from congvan.errors import LinkExpired, LinkInvalid
from congvan.links import Link, Links

NOW = datetime(2023, 12, 1, 1, tzinfo=UTC)
LINK = Link("0190" + "a" * 28, "answer", 3, NOW + timedelta(days=180))
KEY, OTHER = "first-key-" + "x" * 32, "second-key-" + "y" * 32
OURS = Links([KEY], "https://portal.example/")


def test_a_link_is_read_as_it_was_written() -> None:
    assert OURS.read(OURS.token(LINK), "answer", NOW) == LINK
    assert OURS.url(LINK) == f"https://portal.example/v/{OURS.token(LINK)}"


def test_a_link_fits_on_a_line_of_a_mail() -> None:
    assert len(OURS.url(LINK)) < 200
    assert OURS.token(LINK).isascii()


def test_one_letter_changed_opens_nothing() -> None:
    token = OURS.token(LINK)
    for place, letter in enumerate(token):
        bent = token[:place] + ("A" if letter != "A" else "B") + token[place + 1 :]
        try:
            read = OURS.read(bent, "answer", NOW)
        except LinkInvalid:
            continue
        # The last letter of base64 may carry bits that mean nothing: the same link, never another one.
        assert read == LINK
        assert place == len(token) - 1


@pytest.mark.parametrize(
    "token",
    [
        "",
        ".",
        "a.b",
        "đường-dẫn",
        "A" * 201,
        "A" * 1_000_000,
        "\0",
        "../../etc/passwd",
        "%00",
        "eyJhbGciOiJub25lIn0.e30.",
    ],
)
def test_rubbish_opens_nothing(token: str) -> None:
    with pytest.raises(LinkInvalid):
        OURS.read(token, "answer", NOW)


@given(st.text(max_size=220))
def test_no_text_at_all_opens_anything(token: str) -> None:
    with pytest.raises(LinkInvalid):
        OURS.read(token, "answer", NOW)


def test_a_link_for_another_purpose_opens_nothing() -> None:
    with pytest.raises(LinkInvalid):
        OURS.read(OURS.token(replace(LINK, purpose="operator")), "answer", NOW)


def test_a_link_lasts_to_its_last_second() -> None:
    token = OURS.token(LINK)
    assert OURS.read(token, "answer", LINK.expires) == LINK
    with pytest.raises(LinkExpired):
        OURS.read(token, "answer", LINK.expires + timedelta(seconds=1))


def test_after_a_change_of_keys_old_links_open_until_the_old_key_goes() -> None:
    old = OURS.token(LINK)
    changed = Links([OTHER, KEY], "https://portal.example")
    assert changed.read(old, "answer", NOW) == LINK
    assert Links([OTHER], "https://portal.example").read(changed.token(LINK), "answer", NOW) == LINK, (
        "the first key signs"
    )
    with pytest.raises(LinkInvalid):
        Links([OTHER], "https://portal.example").read(old, "answer", NOW)


def test_without_a_key_there_are_no_links() -> None:
    with pytest.raises(LinkInvalid):
        Links([], "https://portal.example")


def test_what_is_signed_but_is_no_link_opens_nothing() -> None:
    from itsdangerous import URLSafeSerializer

    signer = URLSafeSerializer([KEY], salt="congvan-link-1")
    for said in ([], {}, "x", [1], ["a", "answer", "x", 1], ["a", "answer", 1, 10**30], ["a", "answer", 1, None]):
        with pytest.raises(LinkInvalid):
            OURS.read(str(signer.dumps(said)), "answer", NOW)


def test_another_salt_opens_nothing() -> None:
    from itsdangerous import URLSafeSerializer

    said = [LINK.delivery_id, "answer", 3, int(LINK.expires.timestamp())]
    with pytest.raises(LinkInvalid):
        OURS.read(str(URLSafeSerializer([KEY], salt="session").dumps(said)), "answer", NOW)


# ------------------------------------------------------------------------------------ addresses of deliveries


def test_the_address_of_a_delivery_is_ours_and_fits() -> None:
    token = OURS.mail_token(LINK.delivery_id)
    assert OURS.read_mail_token(token) == LINK.delivery_id
    assert OURS.read_mail_token(token.upper()) == LINK.delivery_id, "mail systems fold the case of local parts"
    assert len(f"congvan+{token}") <= 64
    assert token == token.lower()


@pytest.mark.parametrize(
    "token",
    ["", "x", f"{LINK.delivery_id}.000000000000", LINK.delivery_id, "a.b.c", ".", "é.é"],
)
def test_an_address_that_we_did_not_make_is_nobodys(token: str) -> None:
    assert OURS.read_mail_token(token) is None


def test_what_comes_back_to_an_address_of_an_older_key_is_ours_while_that_key_is_kept() -> None:
    token = OURS.mail_token(LINK.delivery_id)
    assert Links([OTHER, KEY], "x").read_mail_token(token) == LINK.delivery_id
    assert Links([OTHER, KEY], "x").mail_token(LINK.delivery_id) == Links([OTHER], "x").mail_token(LINK.delivery_id)


def test_the_mail_key_is_not_the_link_key() -> None:
    assert Links([OTHER], "x").read_mail_token(OURS.mail_token("abc")) is None
