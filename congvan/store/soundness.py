"""What must be true of the rows whatever happened, as questions that find whatever is not so.

The auditor of a running engine and the simulator ask the same ones. Each question answers with
(campaign, place): the campaign's id or nothing, and a code by which the row is found; no address, no name.
They run as they stand on SQLite and on PostgreSQL. Their instants: `:late`, long enough ago that whoever was
to act has had his time; `:soon`, so near that clocks which differ by seconds agree; `:dead` and `:far`, by the
wall clock, before and after any lease that somebody may hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from congvan.rules.protocol import settling_states
from congvan.rules.records import Settles


def _among(values: object) -> str:
    return "(" + ", ".join(f"'{value}'" for value in sorted(map(str, values))) + ")"  # type: ignore[call-overload]


def _settled() -> str:
    ways = (
        f"(d.settles = '{one.value}' AND d.state IN {_among(state.value for state in settling_states(one))})"
        for one in Settles
    )
    return "(" + " OR ".join(ways) + ")"


SETTLED = _settled()
#: Kinds of mail that carry a letter, and those that ask again.
_LETTERS = "('letter', 'slip', 'bypass', 'replacement')"
_CHASERS = "('reminder', 'overdue')"
_ANSWERED = "('ACKNOWLEDGED', 'IN_PROGRESS', 'FORWARDED', 'COMPLETED')"
#: Spelt as the partial index has it.
_OPEN_MAIL = "state IN ('QUEUED','CLAIMED','UNKNOWN')"
#: A hop that somebody is turning changes while it is looked at.
_AT_REST = "(h.lease_until IS NULL OR h.lease_until < :dead)"
_D = "SELECT d.campaign_id campaign, d.code place FROM deliveries d "
_D_RUNNING = (
    _D + "JOIN hops h ON h.id = d.hop_id JOIN campaigns c ON c.id = d.campaign_id"
    " WHERE c.state = 'RUNNING' AND c.held_at IS NULL AND "
)
_H = "SELECT h.campaign_id campaign, h.issuer place FROM hops h JOIN campaigns c ON c.id = h.campaign_id "
_H_RUNNING = _H + "WHERE c.state = 'RUNNING' AND c.held_at IS NULL AND "
_L = "SELECT l.campaign_id campaign, l.id place FROM letters l "
_M = "SELECT m.campaign_id campaign, m.id place FROM messages m "


@dataclass(frozen=True, slots=True)
class Question:
    """One of them. sql: finds what is wrong; problem: what it is, for people; passing: it may be so for a moment
    after the engine stood still, and is told of when it lasts."""

    sql: str
    problem: str
    passing: bool = False


# ------------------------------------------------------------------------------------ the next step

_STEPS = {
    "wake forgotten": Question(
        _H + "JOIN (SELECT hop_id, CASE WHEN state = 'CLAIMED' THEN lease_until ELSE not_before END due FROM messages"
        f" WHERE {_OPEN_MAIL} UNION ALL SELECT hop_id, wake_at FROM deliveries"
        " WHERE wake_at IS NOT NULL AND due_at IS NOT NULL) w ON w.hop_id = h.id"
        " WHERE c.held_at IS NULL AND c.state = 'RUNNING' GROUP BY h.campaign_id, h.issuer, h.wake_at"
        " HAVING h.wake_at IS NULL OR (h.wake_at > min(w.due) AND h.wake_at > :soon)",
        "việc đến hạn mà chặng không được đánh thức",
    ),
    "delivery forgotten": Question(
        _D_RUNNING + f"d.due_at IS NOT NULL AND d.wake_at IS NULL AND d.escalated_at IS NULL AND NOT {SETTLED}"
        " AND d.state NOT IN ('REJECTED', 'UNDELIVERABLE')",
        "chưa xong mà không còn việc nào đến hạn",
    ),
    "no deadline": Question(
        _D + "WHERE d.due_at IS NULL AND d.state IN ('SENT', 'DELIVERED')", "văn bản đã gửi mà không có thời hạn"
    ),
    "settled but awake": Question(
        _D + f"WHERE d.wake_at IS NOT NULL AND {SETTLED}", "đã xong mà vẫn còn việc đến hạn"
    ),
    "hop overdue": Question(
        _H_RUNNING + f"h.wake_at < :late AND {_AT_REST}", "chặng đã đến hạn mà không được xử lý", passing=True
    ),
    "delivery overdue": Question(
        _D_RUNNING + f"d.wake_at < :late AND d.due_at IS NOT NULL AND {_AT_REST}",
        "đã đến hạn mà không được xử lý", passing=True,
    ),
    "campaign overdue": Question(
        "SELECT c.id campaign, c.code place FROM campaigns c WHERE c.wake_at < :late AND c.state = 'RUNNING'"
        " AND c.held_at IS NULL AND (c.lease_until IS NULL OR c.lease_until < :dead)",
        "đợt đã đến hạn mà không được xử lý", passing=True,
    ),
    "hop lease without end": Question(_H + "WHERE h.lease_until > :far", "quyền xử lý chặng không hết hạn"),
    "campaign lease without end": Question(
        "SELECT c.id campaign, c.code place FROM campaigns c WHERE c.lease_until > :far",
        "quyền xử lý đợt không hết hạn",
    ),
    "mail lease without end": Question(
        _M + f"WHERE m.{_OPEN_MAIL} AND m.lease_until > :far", "quyền gửi thư không hết hạn"
    ),
    "right without end": Question(
        "SELECT NULL campaign, l.name place FROM leases l WHERE l.until > :far", "quyền chạy nền không hết hạn"
    ),
}  # fmt: skip

# ------------------------------------------------------------------------------------ the chain

_CHAIN = {
    "opened without a letter": Question(
        _H + "LEFT JOIN letters l ON l.id = h.letter_id WHERE h.opened_at IS NOT NULL AND h.bypassed_at IS NULL"
        " AND (l.id IS NULL OR l.state NOT IN ('ISSUED', 'REPLACED', 'CANCELLED'))",
        "chặng đã mở mà chưa có văn bản ban hành",
    ),
    "opened without a deadline": Question(
        _H + "WHERE h.state IN ('OPEN', 'SETTLED') AND (h.opened_at IS NULL OR h.due_at IS NULL)",
        "chặng đã mở mà không có thời hạn",
    ),
    "parent and child differ": Question(
        _H + "LEFT JOIN deliveries d ON d.id = h.parent_delivery_id WHERE h.parent_delivery_id IS NOT NULL"
        " AND (d.child_hop_id IS NULL OR d.child_hop_id <> h.id OR d.campaign_id <> h.campaign_id)",
        "chặng không gắn với nơi nhận ở trên",
    ),
    "passed on but not opened": Question(
        _H_RUNNING + "h.opened_at IS NULL AND h.wake_at IS NULL AND h.lease_until IS NULL AND EXISTS"
        " (SELECT 1 FROM deliveries d WHERE d.id = h.parent_delivery_id AND d.state IN ('FORWARDED', 'COMPLETED'))",
        "nơi nhận đã chuyển tiếp mà chặng dưới không mở",
    ),
    "not on the route": Question(
        _D + "LEFT JOIN ways w ON w.hop_id = d.hop_id AND w.delivery_id = d.id WHERE w.hop_id IS NULL",
        "nơi nhận không có trên đường đi của văn bản",
    ),
    "in another campaign": Question(
        _D + "JOIN hops h ON h.id = d.hop_id WHERE h.campaign_id <> d.campaign_id", "nơi nhận thuộc đợt khác"
    ),
    "held by nobody": Question(
        "SELECT c.id campaign, c.code place FROM campaigns c WHERE (c.held_at IS NULL) <> (c.held_by IS NULL)"
        " OR (c.paused_at IS NOT NULL AND c.held_at IS NULL)",
        "đợt giữ thư lại mà không rõ ai giữ",
    ),
    "closed by nobody": Question(
        "SELECT c.id campaign, c.code place FROM campaigns c WHERE c.state = 'CLOSED'"
        " AND (coalesce(c.closed_by, '') = '' OR c.report_letter_id IS NULL)",
        "đợt đã kết thúc mà không có người kết thúc hoặc không có báo cáo",
    ),
}  # fmt: skip

# ------------------------------------------------------------------------------------ letters and numbers

_PAPERS = {
    "waits for nobody": Question(
        _L + "WHERE l.state = 'PENDING_ISSUE' AND (coalesce(l.awaits, '') = '' OR l.awaits_until IS NULL)",
        "văn bản chờ ban hành mà không có người giữ",
    ),
    "number twice": Question(
        "SELECT min(l.campaign_id) campaign, l.symbol place FROM letters l"
        " WHERE l.number IS NOT NULL AND l.symbol <> '' GROUP BY l.issuer, l.year, l.symbol HAVING count(*) > 1",
        "hai văn bản cùng số và ký hiệu",
    ),
    "number of a letter that was dropped": Question(
        "SELECT l.campaign_id campaign, l.id place FROM numbers n JOIN letters l ON l.id = n.letter_id"
        " WHERE n.voided_why IS NULL AND l.state = 'CANCELLED' AND l.issued_at IS NULL",
        "văn bản không ban hành mà số của nó chưa hủy",
    ),
    "number without a letter": Question(
        "SELECT NULL campaign, n.issuer place FROM numbers n LEFT JOIN letters l ON l.id = n.letter_id"
        " WHERE n.letter_id IS NOT NULL AND n.voided_why IS NULL AND l.id IS NULL",
        "số đã cấp cho văn bản không có trong sổ",
    ),
    # In the clerk's own register the engine has blocks; what it plays, it counts from one on.
    "gap in a series": Question(
        "SELECT NULL campaign, n.issuer place FROM numbers n WHERE n.year < 0 GROUP BY n.issuer, n.series, n.year"
        " HAVING max(n.number) <> count(*) OR min(n.number) <> 1",
        "sổ cấp số bị khuyết",
    ),
}  # fmt: skip

# ------------------------------------------------------------------------------------ mail

_MAIL = {
    # Those who were only informed of a letter are told of its replacement, and no delivery is theirs.
    "mail without a delivery": Question(
        _M + f"WHERE m.delivery_id IS NULL AND (m.kind IN {_LETTERS} OR m.kind IN {_CHASERS})"
        " AND m.kind <> 'replacement'",
        "thư không thuộc về nơi nhận nào",
    ),
    "mail of another campaign": Question(
        _M + "JOIN deliveries d ON d.id = m.delivery_id WHERE m.campaign_id <> d.campaign_id", "thư thuộc về đợt khác"
    ),
    "sent without an attempt": Question(
        _M + "WHERE m.state = 'SENT' AND m.attempts > 0 AND NOT EXISTS"
        " (SELECT 1 FROM attempts a WHERE a.message_id = m.id)",
        "thư ghi là đã gửi mà chưa gửi lần nào",
    ),
    "sent at no time": Question(
        _M + "WHERE (m.state = 'SENT') <> (m.sent_at IS NOT NULL)", "thư đã gửi mà không rõ lúc nào, hoặc ngược lại"
    ),
    "accepted and waiting": Question(
        _M + f"JOIN attempts a ON a.message_id = m.id WHERE m.{_OPEN_MAIL} AND a.outcome = 'accepted'",
        "máy chủ đã nhận mà thư vẫn chờ gửi",
    ),
    "attempts miscounted": Question(
        _M + "WHERE m.attempts < (SELECT count(*) FROM attempts a WHERE a.message_id = m.id)",
        "số lần gửi không khớp với sổ",
    ),
    "mail overdue": Question(
        _M + "LEFT JOIN hops h ON h.id = m.hop_id LEFT JOIN campaigns c ON c.id = m.campaign_id"
        f" WHERE m.{_OPEN_MAIL} AND c.held_at IS NULL AND (h.id IS NULL OR {_AT_REST})"
        " AND CASE WHEN m.state = 'CLAIMED' THEN m.lease_until < :dead ELSE m.not_before < :late END",
        "thư đến giờ mà không được gửi", passing=True,
    ),
    "letter never written": Question(
        _D_RUNNING + "d.due_at IS NOT NULL AND d.state = 'QUEUED' AND d.address IS NOT NULL AND d.escalated_at IS NULL"
        " AND h.bypassed_at IS NULL AND NOT EXISTS (SELECT 1 FROM messages m WHERE m.delivery_id = d.id)",
        "nơi nhận phải có văn bản mà không có thư nào",
    ),
    # Whom its issuer reached by hand got no mail.
    "sent without a letter": Question(
        _D + "WHERE d.state IN ('SENT', 'DELIVERED')"
        " AND NOT EXISTS (SELECT 1 FROM messages m WHERE m.delivery_id = d.id"
        f" AND m.state = 'SENT' AND m.kind IN {_LETTERS}) AND NOT EXISTS (SELECT 1 FROM events e"
        " WHERE e.stream = d.id AND e.kind = 'reached_by_issuer')",
        "ghi là đã gửi văn bản mà không có thư nào đã đi",
    ),
}  # fmt: skip

# ------------------------------------------------------------------------------------ answers and cases

#: Joined, not looked for: no index finds the closed cases of one, and SQLite makes one for a join.
_TOLD = "LEFT JOIN cases k ON k.delivery_id = d.id AND (k.closed_at IS NULL OR k.closed_why = 'decided') "
_ANSWERS = {
    "answered at no time": Question(
        _D + f"WHERE d.state IN {_ANSWERED} AND d.confirmed_at IS NULL", "đã trả lời mà không rõ lúc nào"
    ),
    "settled at no time": Question(
        _D + f"WHERE {SETTLED} AND d.settled_at IS NULL", "đã xong mà không rõ lúc nào"
    ),
    "escalated and not told": Question(
        _D + _TOLD + f"WHERE k.id IS NULL AND d.escalated_at IS NOT NULL AND NOT {SETTLED}",
        "quá hạn đã báo cáo mà không có trường hợp",
    ),
    "unreachable and not told": Question(
        _D + _TOLD + "WHERE k.id IS NULL AND d.state IN ('REJECTED', 'UNDELIVERABLE')",
        "không đến được hoặc bị từ chối mà không có trường hợp",
    ),
    "case of one who settled": Question(
        _D + f"JOIN cases k ON k.delivery_id = d.id WHERE k.closed_at IS NULL AND {SETTLED}",
        "đã xong mà trường hợp vẫn mở",
    ),
    "case for nobody": Question(
        _D + "JOIN cases k ON k.delivery_id = d.id JOIN campaigns c ON c.id = k.campaign_id"
        " WHERE k.closed_at IS NULL AND k.rung = 0 AND k.tell_at IS NULL AND c.state = 'RUNNING'",
        "trường hợp mà không báo cho ai",
    ),
    "digest that never was": Question(
        _D + "JOIN cases k ON k.delivery_id = d.id LEFT JOIN digests g ON g.id = k.digest_id"
        " WHERE k.digest_id IS NOT NULL AND g.id IS NULL",
        "trường hợp ghi đã báo trong một bảng tổng hợp không có",
    ),
    "shown ahead": Question(
        _D + "WHERE d.board_seen > d.board_seq", "bảng theo dõi ghi nhận trước cả sổ"
    ),
}  # fmt: skip

QUESTIONS: Mapping[str, Question] = MappingProxyType(_STEPS | _CHAIN | _PAPERS | _MAIL | _ANSWERS)
