"""How a conversation with the mail server ended."""

from __future__ import annotations

from dataclasses import dataclass

from congvan.mail.replies import Judgement, Phase, Reply, Verdict, judge


@dataclass(frozen=True, slots=True)
class Ended:
    """How one conversation ended."""

    phase: Phase
    verdict: Verdict
    code: int | None
    reply: str
    judgement: Judgement


def judged(phase: Phase, reply: Reply) -> Ended:
    """By the reply that decided."""
    judgement = judge(phase, reply)
    return Ended(phase, judgement.verdict, reply.code, reply.text, judgement)


def stale_end(why: str) -> Ended:
    """The outcome where a fresh connection did not do either."""
    return Ended(Phase.MAIL, "unavailable", None, why, Judgement("unavailable", True, "server"))


def broken_off() -> Ended:
    """The outcome where our own side failed in the middle."""
    return Ended(Phase.BODY, "unknown", None, "the conversation broke off on our side", Judgement("unknown"))


def refused(code: int, text: str) -> Ended:
    """By us, in the words that the server would have had: it was not asked."""
    return Ended(Phase.MAIL, "refused", code, text, Judgement("refused"))
