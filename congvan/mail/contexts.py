"""What each e-mail may say: one frozen record per stem of `templates/emails/`.

Every text comes ready for the reader: dates and deadlines as Vietnamese says them ("17 giờ 00 ngày
08/12/2023"), names as the registry has them. An empty text means "not said". `fragment` is an HTML
fragment out of the letter's own template; everything else is plain text. (Longer than a file should be:
one record a stem, read side by side with the templates.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Asked = Literal["acknowledge", "forward", "complete"]


@dataclass(frozen=True, kw_only=True)
class Head:
    """Who speaks, the same for all mail of one authority.

    authority: "Ban Quản lý …"; authority_en: its English name. unit: who looks after the campaign, as it
    stands inside a sentence ("phòng …"). parent: cơ quan chủ quản. mailbox: the engine's address.
    illustration: papers of a demo or exercise.
    """

    authority: str
    mailbox: str
    authority_en: str = ""
    parent: str = ""
    unit: str = ""
    phone: str = ""
    address: str = ""
    illustration: bool = False


@dataclass(frozen=True, kw_only=True)
class File:
    """A file that comes with the mail or, where `linked` is set, waits on the recipient's page, too large for it."""

    name: str
    size: str
    sha256: str
    linked: bool = False


@dataclass(frozen=True, kw_only=True)
class LetterMail:
    """Stem `letter`: the letter to one recipient.

    document: "Công văn số 01/…-… ngày 01/12/2023". on_behalf_of: the company in whose name the mail goes
    out, and issuer_mailbox where it is reached. directive: "văn bản số … ngày … của …". urgency: the stamp
    ("KHẨN"). asked: what settles. late_note: reached late, hence a term of its own. segment_note: the
    sentence that binds this recipient's segment and is confirmed with a tick of its own.
    intermediary_note: to those who have somebody below them. code: the reference of the delivery.
    """

    head: Head
    recipient: str
    document: str
    subject: str
    directive: str
    deadline: str
    deadline_en: str
    link: str
    code: str
    fragment: str
    asked: Asked = "acknowledge"
    contact: str = ""
    on_behalf_of: str = ""
    issuer_mailbox: str = ""
    urgency: str = ""
    late_note: str = ""
    segment_note: str = ""
    intermediary_note: str = ""
    files: tuple[File, ...] = ()


@dataclass(frozen=True, kw_only=True)
class BypassMail(LetterMail):
    """Stem `bypass`: the authority sends its issued letter to those below a silent recipient.

    bypassed: whose silence it is. reason: one sentence, without a full stop.
    """

    bypassed: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class ReminderMail:
    """Stem `reminder`: nhắc việc lần `step`. time_left: "còn 02 ngày làm việc", "còn 4 giờ", "hết hạn hôm nay"…

    branch_note: to an intermediary, how many of those below have answered.
    """

    head: Head
    recipient: str
    step: int
    document: str
    subject: str
    deadline: str
    deadline_en: str
    time_left: str
    link: str
    code: str
    asked: Asked = "acknowledge"
    on_behalf_of: str = ""
    branch_note: str = ""
    segment_note: str = ""


@dataclass(frozen=True, kw_only=True)
class OverdueMail:
    """Stem `overdue`: the term has passed and somebody has been told. told: "đã được báo cáo …"."""

    head: Head
    recipient: str
    document: str
    subject: str
    deadline: str
    deadline_en: str
    passed: str
    told: str
    link: str
    code: str
    asked: Asked = "acknowledge"
    on_behalf_of: str = ""


@dataclass(frozen=True, kw_only=True)
class ExtensionMail:
    """Stem `extension`: the term was moved, by whom and why."""

    head: Head
    recipient: str
    document: str
    subject: str
    old_deadline: str
    deadline: str
    deadline_en: str
    reason: str
    link: str
    code: str
    asked: Asked = "acknowledge"


@dataclass(frozen=True, kw_only=True)
class ChangeMail:
    """What all mails about a change under way may say. reason: why, as the person who decided wrote it.

    link and code are empty for whoever got the letter for information only.
    """

    head: Head
    recipient: str
    document: str
    subject: str
    reason: str
    link: str = ""
    code: str = ""
    asked: Asked = "acknowledge"
    deadline: str = ""
    deadline_en: str = ""
    old_deadline: str = ""
    old_document: str = ""
    fragment: str = ""
    files: tuple[File, ...] = ()
    urgency: str = ""


@dataclass(frozen=True, kw_only=True)
class PauseMail(ChangeMail):
    """Stem `pause`: the campaign stands still, and so does the term."""


@dataclass(frozen=True, kw_only=True)
class ResumeMail(ChangeMail):
    """Stem `resume`: it goes on; `deadline` is the term that holds, `old_deadline` the one before the pause where that
    was another. passed: it has ended. urged: it is the last date of a công văn đôn đốc."""

    passed: bool = False
    urged: bool = False


@dataclass(frozen=True, kw_only=True)
class ExemptionMail(ChangeMail):
    """Stem `exemption`: nothing more is asked of this recipient."""


@dataclass(frozen=True, kw_only=True)
class WithdrawalMail(ChangeMail):
    """Stem `withdrawal`: the letter is taken back from this recipient alone."""


@dataclass(frozen=True, kw_only=True)
class RecallMail(ChangeMail):
    """Stem `recall`: the letter is taken back from everybody (13); the recipient agrees or refuses (15, 16)."""


@dataclass(frozen=True, kw_only=True)
class ReplacementMail(ChangeMail):
    """Stem `replacement`: `document` takes the place of `old_document`. again: what was confirmed of the old one
    is asked once more."""

    again: bool = False


@dataclass(frozen=True, kw_only=True)
class CorrectionMail(ChangeMail):
    """Stem `correction`: `document` corrects `old_document`; no answer is asked for."""


@dataclass(frozen=True, kw_only=True)
class UrgeMail(ChangeMail):
    """Stem `urge`: the công văn đôn đốc lần `round`, to one who is named in its appendix."""

    round: int = 1


@dataclass(frozen=True, kw_only=True)
class CopyMail:
    """Stem `copy`: who stands in Nơi nhận gets the issued letter. purpose: "để báo cáo", "để biết"."""

    head: Head
    recipient: str
    document: str
    subject: str
    directive: str
    purpose: str
    fragment: str = ""
    files: tuple[File, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Figures:
    """The numbers of a campaign; `not_sent` = the way to them is shut ("chưa được gửi đến")."""

    total: int
    settled: int
    waiting: int
    overdue: int
    undeliverable: int = 0
    rejected: int = 0
    not_sent: int = 0
    late: int = 0


@dataclass(frozen=True, kw_only=True)
class DigestRow:
    """One recipient in a digest. note: what is known (the server's refusal, the reason given, calls)."""

    code: str
    name: str
    deadline: str
    reminders: int = 0
    note: str = ""
    link: str = ""


@dataclass(frozen=True, kw_only=True)
class DigestGroup:
    """Recipients of one investor and one park; both may be empty (direct recipients)."""

    investor: str
    park: str
    rows: tuple[DigestRow, ...]


@dataclass(frozen=True, kw_only=True)
class DigestCampaign:
    """One campaign in a digest: the silent, the unreachable and those who rejected, apart."""

    code: str
    document: str
    subject: str
    figures: Figures
    silent: tuple[DigestGroup, ...] = ()
    undeliverable: tuple[DigestGroup, ...] = ()
    rejected: tuple[DigestGroup, ...] = ()
    link: str = ""
    #: What was done or is ready: "Dự thảo công văn đôn đốc gửi kèm, chờ ký".
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class DigestMail:
    """Stem `digest`: one mail a working day to the unit (or the leader) over all campaigns.

    rung: as whom the reader is told ("lãnh đạo phòng"). more: rows left out here and found in the table.
    """

    head: Head
    recipient: str
    day: str
    campaigns: tuple[DigestCampaign, ...]
    link: str
    rung: str = ""
    more: int = 0
    files: tuple[File, ...] = ()


@dataclass(frozen=True, kw_only=True)
class LeaderMail(DigestMail):
    """Stem `leader`: the same for the leaders of the authority: what the department was told of and is still open."""


@dataclass(frozen=True, kw_only=True)
class ReportMail:
    """Stem `report`: the issued report upwards. document: "Báo cáo số … ngày …"."""

    head: Head
    recipient: str
    document: str
    subject: str
    directive: str
    figures: Figures
    summary: str = ""
    files: tuple[File, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ReceiptMail:
    """Stem `receipt`: to whoever has just answered. state: "đã tiếp nhận", "đã chuyển tiếp"…"""

    head: Head
    recipient: str
    document: str
    subject: str
    state: str
    recorded_at: str
    link: str
    code: str
    by: str = ""
    late: bool = False
    #: The first letters of the hash under which the answer stands in the log.
    mark: str = ""


@dataclass(frozen=True, kw_only=True)
class DelegatedMail:
    """Stem `delegated`: to a colleague to whom the recipient passed the page. name: the colleague; by: who did so."""

    head: Head
    recipient: str
    document: str
    subject: str
    deadline: str
    deadline_en: str
    link: str
    code: str
    by: str
    name: str = ""
    note: str = ""
    asked: Asked = "acknowledge"


@dataclass(frozen=True, kw_only=True)
class DeclinedMail:
    """Stem `declined`: the letter does apply to the recipient that asked to be left out."""

    head: Head
    recipient: str
    document: str
    subject: str
    deadline: str
    deadline_en: str
    link: str
    code: str
    reason: str
    asked: Asked = "acknowledge"


@dataclass(frozen=True, kw_only=True)
class SlipMail:
    """Stem `slip`: a document from above has come; the office takes it in and enters it in its register."""

    head: Head
    recipient: str
    document: str
    issuer: str
    subject: str
    arrived_on: str
    link: str
    code: str
    arrival_number: str = ""
    resolver: str = ""
    deadline: str = ""
    deadline_en: str = ""
    urgency: str = ""
    files: tuple[File, ...] = ()


@dataclass(frozen=True, kw_only=True)
class WaitingLetter:
    """A letter that awaits its issue. wanted_by: the day on which it has to leave. held_by: in whose hand."""

    title: str
    subject: str
    campaign: str
    since: str
    wanted_by: str
    held_by: str
    recipients: int
    link: str = ""


@dataclass(frozen=True, kw_only=True)
class IssueWantedMail:
    """Stem `issue_wanted`: letters await number, date and signature (NĐ 30/2020 Điều 18)."""

    head: Head
    recipient: str
    letters: tuple[WaitingLetter, ...]
    link: str
    step: int = 1
    files: tuple[File, ...] = ()


@dataclass(frozen=True, kw_only=True)
class NoticeMail:
    """Stem `notice`: something of a campaign that a person has to know at once. held: nothing leaves any more."""

    head: Head
    recipient: str
    campaign: str
    document: str
    subject: str
    title: str
    why: str
    advice: str
    since: str
    figures: Figures
    link: str
    held: bool = False
    files: tuple[File, ...] = ()


Context = (
    LetterMail
    | BypassMail
    | ReminderMail
    | OverdueMail
    | ExtensionMail
    | CopyMail
    | DigestMail
    | LeaderMail
    | ReportMail
    | ReceiptMail
    | DelegatedMail
    | DeclinedMail
    | SlipMail
    | IssueWantedMail
    | NoticeMail
    | ChangeMail
)

STEMS: dict[type[Context], str] = {
    LetterMail: "letter",
    BypassMail: "bypass",
    ReminderMail: "reminder",
    OverdueMail: "overdue",
    ExtensionMail: "extension",
    CopyMail: "copy",
    DigestMail: "digest",
    LeaderMail: "leader",
    ReportMail: "report",
    ReceiptMail: "receipt",
    DelegatedMail: "delegated",
    DeclinedMail: "declined",
    SlipMail: "slip",
    IssueWantedMail: "issue_wanted",
    NoticeMail: "notice",
    PauseMail: "pause",
    ResumeMail: "resume",
    ExemptionMail: "exemption",
    WithdrawalMail: "withdrawal",
    RecallMail: "recall",
    ReplacementMail: "replacement",
    CorrectionMail: "correction",
    UrgeMail: "urge",
}
#: The stems of changes under way.
CHANGES: dict[str, type[ChangeMail]] = {
    stem: kind for kind, stem in STEMS.items() if issubclass(kind, ChangeMail)
}
