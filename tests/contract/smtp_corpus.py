# ruff: noqa: E501  (mail formats keep their own line breaks)
"""Labelled mail that comes back, written after the documented formats of the large mail systems.

`SAMPLES` crosses formats with situations; every sample says what it is, so that precision and recall can
be counted. Ours are the boxes `congvan@` and `bounces@` of bql-mau.example.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from email.header import Header

MAILBOXES = ("congvan@bql-mau.example", "bounces@bql-mau.example")
TOKEN = "018c7f-9af3"
OURS = "<018c-7f.letter.0@bql-mau.example>"
WHO = "vanthu@dien-tu.example"


@dataclass(frozen=True)
class Sample:
    """One mail and its label. own: the words that a person wrote, where it is one."""

    name: str
    raw: bytes
    kind: str
    wrong_address: bool = False
    recipient: str = WHO
    own: str | None = None


@dataclass(frozen=True)
class Situation:
    name: str
    action: str
    status: str
    reply: str
    kind: str
    wrong_address: bool = False


SITUATIONS = (
    Situation("no such user", "failed", "5.1.1", "550 5.1.1 <%s>: Recipient address rejected: User unknown", "bounce_hard", True),
    Situation("no such domain", "failed", "5.1.2", "550 5.1.2 Host or domain name not found", "bounce_hard", True),
    Situation("null MX", "failed", "5.1.10", "556 5.1.10 Recipient address has null MX", "bounce_hard", True),
    Situation("disabled", "failed", "5.2.1", "550 5.2.1 The email account is disabled", "bounce_hard", True),
    Situation("mailbox full", "failed", "5.2.2", "552 5.2.2 Mailbox is full", "bounce_hard"),
    Situation("too large", "failed", "5.3.4", "552 5.3.4 Message size exceeds fixed limit", "bounce_hard"),
    Situation("policy", "failed", "5.7.1", "550 5.7.1 Message rejected due to policy", "bounce_hard"),
    Situation("no authentication", "failed", "5.7.26", "550 5.7.26 Unauthenticated email is not accepted", "bounce_hard"),
    Situation("expired", "failed", "4.4.7", "451 4.4.7 Message expired", "bounce_hard"),
    Situation("late: greylisted", "delayed", "4.7.1", "451 4.7.1 Greylisting in action", "bounce_soft"),
    Situation("late: no connection", "delayed", "4.4.1", "connect to mx.dien-tu.example: Connection timed out", "bounce_soft"),
)  # fmt: skip

SUBJECTS = {
    "bounce_hard": "Undelivered Mail Returned to Sender",
    "bounce_soft": "Delayed Mail (still being retried)",
    "delivered": "Successful Mail Delivery Report",
    "relayed": "Successful Mail Delivery Report",
}

LETTER_HEAD = f"""Return-Path: <bounces+{TOKEN}@bql-mau.example>
From: Ban Quan ly <congvan@bql-mau.example>
Reply-To: congvan+{TOKEN}@bql-mau.example
To: <{WHO}>
Subject: =?utf-8?b?{base64.b64encode("Công văn số 01".encode()).decode()}?=
Message-ID: {OURS}
Date: Fri, 01 Dec 2023 08:00:00 +0700
"""


def mail(head: str, body: str, to: str = f"bounces+{TOKEN}@bql-mau.example") -> bytes:
    text = f"{head.strip()}\nTo: {to}\nDate: Fri, 01 Dec 2023 09:00:00 +0700\nMIME-Version: 1.0\n\n{body}"
    return text.replace("\n", "\r\n").encode()


def report(
    sender: str, subject: str, words: str, fields: str, *, html: bool = False, returned: str = LETTER_HEAD
) -> bytes:
    kind = "html" if html else "plain"
    words = f"<html><body><p>{words}</p></body></html>" if html else words
    head = (
        f"Return-Path: <>\nFrom: {sender}\nSubject: {subject}\nAuto-Submitted: auto-replied\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="BB"'
    )
    body = (
        f"This is a MIME-encapsulated message.\n\n--BB\nContent-Type: text/{kind}; charset=utf-8\n\n{words}\n\n"
        f"--BB\nContent-Type: message/delivery-status\n\n{fields}\n\n"
        f"--BB\nContent-Type: text/rfc822-headers\n\n{returned}\n--BB--\n"
    )
    return mail(head, body)


def fields(case: Situation, mta: str) -> str:
    reply = case.reply.replace("%s", WHO)
    return (
        f"Reporting-MTA: dns; {mta}\nOriginal-Envelope-Id: 018c-7f\nArrival-Date: Fri, 01 Dec 2023 08:00:00 +0700\n\n"
        f"Final-Recipient: rfc822; {WHO}\nOriginal-Recipient: rfc822;{WHO}\nAction: {case.action}\n"
        f"Status: {case.status}\nRemote-MTA: dns; mx.dien-tu.example\nDiagnostic-Code: smtp; {reply}\n"
    )


def postfix(case: Situation) -> bytes:
    words = f"This is the mail system at host mail.bql-mau.example.\n\n<{WHO}>: {case.reply.replace('%s', WHO)}"
    return report(
        "MAILER-DAEMON@mail.bql-mau.example (Mail Delivery System)", SUBJECTS[case.kind], words,
        fields(case, "mail.bql-mau.example"),
    )  # fmt: skip


def zimbra(case: Situation) -> bytes:
    words = f"Máy chủ thư không chuyển được thư đến người nhận.\n<{WHO}>: {case.reply.replace('%s', WHO)}"
    return report(
        "MAILER-DAEMON@zimbra.bql-mau.example", "Undeliverable", words, fields(case, "zimbra.bql-mau.example")
    )


def exchange(case: Situation) -> bytes:
    words = f"Delivery has failed to these recipients or groups: {WHO}. {case.reply.replace('%s', WHO)}"
    sender = "Microsoft Outlook <MicrosoftExchange329e71ec88ae4615bbc36ab6ce41109e@dien-tu.example>"
    return report(sender, "Undeliverable: Cong van", words, fields(case, "EX1.dien-tu.example"), html=True)


def gmail(case: Situation) -> bytes:
    words = f"** Address not found **\n\nYour message wasn't delivered to {WHO}.\n\nThe response was:\n{case.reply}"
    sender = "Mail Delivery Subsystem <mailer-daemon@googlemail.com>"
    return report(sender, "Delivery Status Notification", words, fields(case, "googlemail.com"))


def mdaemon_report(case: Situation) -> bytes:
    words = f"The attached message had {'temporary' if case.action == 'delayed' else 'permanent'} delivery errors. {case.reply}"
    return report(
        "MDaemon@mail.dien-tu.example", "MDaemon Notification -- Delivery", words, fields(case, "mail.dien-tu.example")
    )


def exim(case: Situation) -> bytes:
    late = case.action == "delayed"
    subject = (
        "Warning: message 1r8aBc delayed 24 hours" if late else "Mail delivery failed: returning message to sender"
    )
    said = (
        "This message was created automatically by mail delivery software.\n"
        "A message that you sent has not yet been delivered to one or more of its\nrecipients after 24 hours on the queue."
        " No action is required on your part. Delivery attempts will continue for some time.\n"
        if late
        else "This message was created automatically by mail delivery software.\n\nA message that you sent could not be"
        " delivered to one or more of its recipients. This is a permanent error.\nThe following address(es) failed:\n"
    )
    head = f"Return-Path: <>\nX-Failed-Recipients: {WHO}\nAuto-Submitted: auto-replied\nFrom: Mail Delivery System <Mailer-Daemon@mail.bql-mau.example>\nSubject: {subject}"
    if late:
        head = head.replace(f"X-Failed-Recipients: {WHO}\n", "")
    body = (
        f"{said}\n  {WHO}\n    host mx.dien-tu.example: {case.reply.replace('%s', WHO)}\n\n"
        f"------ This is a copy of the message, including all the headers. ------\n\n{LETTER_HEAD}\n"
    )
    return mail(head, body)


def qmail(case: Situation) -> bytes:
    body = (
        "Hi. This is the qmail-send program at mail.bql-mau.example.\nI'm afraid I wasn't able to deliver your message to"
        " the following addresses.\nThis is a permanent error; I've given up. Sorry it didn't work out.\n\n"
        f"<{WHO}>:\n203.0.113.7 does not like recipient.\nRemote host said: {case.reply.replace('%s', WHO)}\nGiving up on"
        f" 203.0.113.7.\n\n--- Below this line is a copy of the message.\n\n{LETTER_HEAD}\nNoi dung\n"
    )
    return mail("Return-Path: <>\nFrom: MAILER-DAEMON@mail.bql-mau.example\nSubject: failure notice", body)


def vietnamese(case: Situation) -> bytes:
    late = case.action == "delayed"
    subject = "Cảnh báo: thư bị chậm" if late else "Thư bị trả lại: không thể gửi"
    said = (
        "Thư của bạn chưa được gửi đến người nhận dưới đây. Hệ thống sẽ tiếp tục thử lại."
        if late
        else "Không thể gửi thư đến người nhận dưới đây. Hệ thống ngừng gửi lại."
    )
    head = f"Return-Path: <>\nFrom: Hệ thống thư <postmaster@dien-tu.example>\nSubject: {Header(subject, 'utf-8').encode()}\nContent-Type: text/plain; charset=utf-8"
    return mail(head, f"{said}\n\n{WHO}: {case.reply.replace('%s', WHO)}\n\nBản sao thư:\n{LETTER_HEAD}\n")


REPORTERS = {"postfix": postfix, "zimbra": zimbra, "exchange": exchange, "gmail": gmail, "mdaemon": mdaemon_report}
WRITERS = {"exim": exim, "vietnamese": vietnamese}

RECEIPTS = (
    Situation("delivered", "delivered", "2.0.0", "250 2.0.0 Ok", "delivered"),
    Situation("expanded", "expanded", "2.0.0", "250 2.0.0 Ok", "delivered"),
    Situation("relayed", "relayed", "2.0.0", "250 2.0.0 Ok", "relayed"),
)

AUTO_HEADS = (
    ("auto-submitted", "Auto-Submitted: auto-replied (vacation)\nSubject: Re: Cong van so 01"),
    ("auto-generated", "Auto-Submitted: auto-generated\nSubject: Da nhan duoc yeu cau #1234"),
    ("precedence", "Precedence: auto_reply\nSubject: Tu dong"),
    ("bulk", "Precedence: bulk\nSubject: Thong bao"),
    ("x-autoreply", "X-Autoreply: yes\nSubject: Re: Cong van"),
    ("x-autorespond", "X-Autorespond: vacation\nSubject: Re: Cong van"),
    ("null sender", "Return-Path: <>\nSubject: Re: Cong van so 01"),
    ("outlook en", "Subject: Automatic reply: Cong van so 01"),
    ("outlook vi", f"Subject: {Header('Trả lời tự động: Công văn số 01', 'utf-8').encode()}"),
    ("ooo", "Subject: Out of Office: nghi phep"),
    ("absent vi", f"Subject: {Header('Vắng mặt đến hết ngày 10/12', 'utf-8').encode()}"),
    ("leave vi", f"Subject: {Header('[Tự động trả lời] Công văn số 01', 'utf-8').encode()}"),
    ("zimbra away", "Auto-Submitted: auto-replied (zimbra; vacation)\nPrecedence: bulk\nSubject: Re: Cong van"),
)
AUTO_TEXTS = (
    "Tôi đang đi công tác đến hết ngày 10/12/2023, tạm thời không đọc thư.",
    "I am out of the office with limited access to email. Đã nhận được thư của Quý cơ quan.",
    "Cảm ơn Quý khách. Chúng tôi đã tiếp nhận và sẽ xác nhận trong thời gian sớm nhất.",
)

OWN = "Kính gửi Ban Quản lý,\n\nCông ty đã nhận được công văn và sẽ triển khai.\nTrân trọng."
QUOTED = "Ban Quản lý Khu kinh tế Mẫu gửi đến Quý đơn vị Công văn số 01.\nMã theo dõi: MAU-012"
_ANGLED = "\n".join(f"> {line}" for line in QUOTED.split("\n"))
CLIENTS = {
    "gmail vi": f"{OWN}\n\nVào Th 6, 1 thg 12, 2023 vào lúc 08:05 Ban Quản lý <\ncongvan@bql-mau.example> đã viết:\n\n{_ANGLED}",
    "gmail vi short": f"{OWN}\n\nVào 08:05, Th 6, 1 thg 12, 2023 Ban Quản lý <congvan@bql-mau.example> đã viết:\n{_ANGLED}",
    "gmail en": f"{OWN}\n\nOn Fri, Dec 1, 2023 at 8:05 AM Ban Quan ly <congvan@bql-mau.example> wrote:\n\n{_ANGLED}",
    "thunderbird vi": f"{OWN}\n\nVào lúc 08:05 01/12/2023, Ban Quản lý viết:\n{_ANGLED}",
    "apple vi": f"{OWN}\n\nNgày 1 thg 12, 2023, lúc 08:05, Ban Quản lý <congvan@bql-mau.example> đã viết:\n\n{_ANGLED}",
    "outlook vi": f"{OWN}\n\n________________________________\nTừ: Ban Quản lý <congvan@bql-mau.example>\nĐã gửi: Thứ Sáu, 1 Tháng Mười Hai 2023 8:05 SA\nTới: {WHO}\nChủ đề: Công văn số 01\n\n{QUOTED}",
    "outlook vi bold": f"{OWN}\n\n*Từ:* Ban Quản lý\n*Đã gửi:* 1/12/2023 8:05\n*Đến:* {WHO}\n*Chủ đề:* Công văn số 01\n\n{QUOTED}",
    "outlook en": f"{OWN}\n\nFrom: Ban Quan ly <congvan@bql-mau.example>\nSent: Friday, December 1, 2023 8:05 AM\nTo: {WHO}\nSubject: Cong van so 01\n\n{QUOTED}",
    "zimbra vi": f"{OWN}\n\n----- Thư gốc -----\nTừ: congvan@bql-mau.example\nĐến: {WHO}\n\n{QUOTED}",
    "original message": f"{OWN}\n\n-----Original Message-----\nFrom: congvan@bql-mau.example\n\n{QUOTED}",
    "forwarded": f"{OWN}\n\n---------- Forwarded message ---------\nFrom: congvan@bql-mau.example\n\n{QUOTED}",
    "iphone": f"{OWN}\n\nĐã gửi từ iPhone của tôi\n\n> Vào 1 thg 12, 2023, lúc 08:05, Ban Quản lý đã viết:\n> \n{_ANGLED}",
    "android": f"{OWN}\n\nTải Outlook cho Android\nTừ: Ban Quản lý\nĐã gửi: 1/12\nĐến: ai đó\n{QUOTED}",
    "signature": f"{OWN}\n\n-- \nNguyễn Văn Ấ\nTrưởng phòng Hành chính",
    "inline": f"{_ANGLED}\n{OWN}",
    "no quote": OWN,
}  # fmt: skip


def reply(head: str, text: str, kind: str = "plain") -> bytes:
    encoded = base64.encodebytes(text.encode()).decode()
    top = (
        f"From: Van thu <{WHO}>\n{head}\nIn-Reply-To: {OURS}\nReferences: {OURS}\nMessage-ID: <r1@dien-tu.example>\n"
        f"Content-Type: text/{kind}; charset=utf-8\nContent-Transfer-Encoding: base64"
    )
    return mail(top, encoded, to=f"Ban Quan ly <congvan+{TOKEN}@bql-mau.example>")


def _samples() -> list[Sample]:
    found = []
    for system, write in {**REPORTERS, **WRITERS}.items():
        for case in SITUATIONS:
            found.append(Sample(f"{system}: {case.name}", write(case), case.kind, case.wrong_address))
    for case in SITUATIONS[:8]:
        found.append(Sample(f"qmail: {case.name}", qmail(case), case.kind, case.wrong_address))
    for system, write in REPORTERS.items():
        for case in RECEIPTS:
            found.append(Sample(f"{system}: {case.name}", write(case).replace(b"Undeliverable", b"Report"), case.kind))
    for name, head in AUTO_HEADS:
        for number, text in enumerate(AUTO_TEXTS):
            found.append(Sample(f"machine: {name} {number}", reply(head, text), "auto_reply"))
    for name, text in CLIENTS.items():
        found.append(Sample(f"person: {name}", reply("Subject: Re: Cong van so 01", text), "human", own=OWN))
        found.append(
            Sample(f"person: {name}, polite", reply("Auto-Submitted: no\nSubject: Tra loi", text), "human", own=OWN)
        )
    page = (
        "<div>" + OWN.replace("\n", "<br>") + '</div><div class="gmail_quote">Vào Th 6 <a href="x">A</a> đã viết:<br>'
    )
    found.append(
        Sample(
            "person: html",
            reply("Subject: Re: x", f"{page}<blockquote>{QUOTED}</blockquote></div>", "html"),
            "human",
            own=OWN,
        )
    )
    receipt = mail(
        f'From: <{WHO}>\nSubject: Read: Cong van\nContent-Type: multipart/report; report-type=disposition-notification; boundary="BB"',
        f"--BB\nContent-Type: text/plain\n\nYour message was read.\n\n--BB\nContent-Type: message/disposition-notification\n\n"
        f"Final-Recipient: rfc822;{WHO}\nOriginal-Message-ID: {OURS}\nDisposition: manual-action/MDN-sent-manually; displayed\n\n--BB--\n",
    )
    found.append(Sample("receipt: displayed", receipt, "delivered"))
    return found


SAMPLES = _samples()
