"""Samples of mail: one filled context of every stem, with names that a template might stumble over."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from congvan.mail import words
from congvan.mail.message import Headers, message_id

DATE = datetime(2023, 12, 1, 8, 0, tzinfo=timezone(timedelta(hours=7)))
ID = message_id("018c-7f", "letter", 0, "bql-mau.example")


def headers(**changes: object) -> Headers:
    given_: dict[str, object] = {
        "from_name": "Ban Quản lý Khu kinh tế Mẫu thay mặt Công ty CP Hạ tầng Mẫu",
        "from_address": "congvan@bql-mau.example",
        "to_name": "Công ty TNHH Điện tử «A & B»",
        "to_address": "vanthu@dien-tu.example",
        "subject": "Công văn số 01/BQL-KH V/v phối hợp thực hiện cao điểm tấn công, trấn áp tội phạm dịp Tết",
        "date": DATE,
        "message_id": ID,
        "reply_to": "congvan+018c7f.k3x@bql-mau.example",
    }
    return Headers(**{**given_, **changes})  # type: ignore[arg-type]


HEAD = words.Head(
    authority="Ban Quản lý Khu kinh tế Mẫu",
    authority_en="Sample Economic Zone Authority",
    parent="Ủy ban nhân dân thành phố Mẫu",
    unit="phòng Kế hoạch",
    mailbox="congvan@bql-mau.example",
    phone="0225 000 0000",
    address="Số 1 đường Mẫu",
    illustration=True,
)
NAME = "Công ty TNHH Điện tử «A & B» <Việt Nam>"
DOCUMENT = "Công văn số 01/BQL-KH ngày 01/12/2023"
SUBJECT = "phối hợp thực hiện cao điểm tấn công, trấn áp tội phạm, bảo đảm ANTT Tết Nguyên đán Giáp Thìn 2024"
DIRECTIVE = "văn bản số 4321/VP-TH ngày 29/11/2023 của Văn phòng Ủy ban nhân dân thành phố Mẫu"
LINK = "https://congvan.bql-mau.example/t/Zm9vYmFy.Q3Xk9w.abcdefghijklmnop?x=1&y=2"
FRAGMENT = (
    "<p>Ban Quản lý đề nghị các đơn vị như sau:</p>\n<ul>\n<li>Thực hiện <b>nghiêm</b> các kế hoạch;</li>\n"
    "<li>Nâng cao hiệu quả &amp; an toàn.</li>\n</ul>\n<p>Trân trọng./.</p>"
)
FILES = (
    words.File(name="01-BQL-KH Công văn.pdf", size="212 KB", sha256="a" * 64),
    words.File(name="Phụ lục <1>.pdf", size="38 MB", sha256="b" * 64, linked=True),
)
_DEADLINE = {"deadline": "17 giờ 00 ngày 08/12/2023", "deadline_en": "17:00 (Vietnam time) on 8 December 2023"}
_LETTER = {
    "head": HEAD,
    "recipient": NAME,
    "document": DOCUMENT,
    "subject": SUBJECT,
    "link": LINK,
    "code": "MAU-012",
    **_DEADLINE,
}
_BODY = {
    "directive": DIRECTIVE,
    "fragment": FRAGMENT,
    "contact": "Văn thư",
    "urgency": "HỎA TỐC",
    "late_note": "Quý đơn vị nhận được văn bản sau nửa thời hạn, nên có ít nhất 03 ngày làm việc kể từ ngày nhận.",
    "segment_note": "Đề nghị các doanh nghiệp hoạt động hóa chất nghiêm túc thực hiện.",
    "intermediary_note": "Đề nghị gửi Công văn này đến các doanh nghiệp trong khu công nghiệp.",
    "files": FILES,
}
FIGURES = words.Figures(
    total=700, settled=512, waiting=100, overdue=80, undeliverable=5, rejected=3, not_sent=12, late=9
)
_GROUPS = (
    words.DigestGroup(
        investor="Công ty CP Hạ tầng Mẫu",
        park="KCN Mẫu 1",
        rows=(
            words.DigestRow(code="MAU-012", name=NAME, deadline="08/12/2023", reminders=3, link=LINK),
            words.DigestRow(code="MAU-013", name="Công ty CP Thép Mẫu", deadline="08/12/2023", note="đã gọi điện"),
        ),
    ),
    words.DigestGroup(
        investor="", park="", rows=(words.DigestRow(code="N-1", name="Công ty Ngoài Khu", deadline="11/12/2023"),)
    ),
)
_CAMPAIGN = words.DigestCampaign(
    code="4321",
    document=DOCUMENT,
    subject=SUBJECT,
    figures=FIGURES,
    silent=_GROUPS,
    undeliverable=(
        words.DigestGroup(
            investor="Công ty CP Hạ tầng Mẫu",
            park="KCN Mẫu 2",
            rows=(
                words.DigestRow(
                    code="M2-7", name="Công ty Sai Địa Chỉ", deadline="08/12/2023", note="550 5.1.1 không có hộp thư"
                ),
            ),
        ),
    ),
    rejected=_GROUPS[1:],
    link=LINK,
    note="Dự thảo công văn đôn đốc gửi kèm, chờ ký.",
)

SAMPLES: dict[str, words.Context] = {
    "letter": words.LetterMail(
        **_LETTER,
        **_BODY,
        asked="forward",
        on_behalf_of="Công ty CP Hạ tầng Mẫu",
        issuer_mailbox="vanthu@hatang.example",
    ),
    "bypass": words.BypassMail(
        **_LETTER,
        **_BODY,
        bypassed="Công ty CP Hạ tầng Mẫu",
        reason="đến hết ngày 11/12/2023 chưa nhận được trả lời của đơn vị chuyển tiếp",
    ),
    "reminder": words.ReminderMail(
        **_LETTER,
        step=2,
        time_left="còn 02 ngày làm việc",
        asked="complete",
        branch_note="Trong khu công nghiệp, 12/40 doanh nghiệp đã xác nhận.",
        segment_note="Đề nghị các doanh nghiệp hoạt động hóa chất nghiêm túc thực hiện.",
    ),
    "overdue": words.OverdueMail(
        **_LETTER, passed="đã quá hạn 01 ngày làm việc", told="việc này đã được báo cáo phòng Kế hoạch"
    ),
    "extension": words.ExtensionMail(
        **_LETTER, old_deadline="17 giờ 00 ngày 05/12/2023", reason="theo đề nghị của đơn vị"
    ),
    "copy": words.CopyMail(
        head=HEAD,
        recipient="Ủy ban nhân dân thành phố Mẫu",
        document=DOCUMENT,
        subject=SUBJECT,
        directive=DIRECTIVE,
        purpose="để báo cáo",
        fragment=FRAGMENT,
        files=FILES,
    ),
    "digest": words.DigestMail(
        head=HEAD,
        recipient="Phòng Kế hoạch",
        day="12/12/2023",
        campaigns=(_CAMPAIGN,),
        link=LINK,
        rung="lãnh đạo phòng",
        more=4,
        files=FILES[:1],
    ),
    "leader": words.LeaderMail(
        head=HEAD, recipient="Phó Trưởng ban", day="15/12/2023", campaigns=(_CAMPAIGN,), link=LINK, more=4,
        files=FILES[:1],
    ),
    "report": words.ReportMail(
        head=HEAD,
        recipient="Văn phòng Ủy ban nhân dân thành phố Mẫu",
        document="Báo cáo số 15/BC-BQL ngày 20/12/2023",
        subject="kết quả triển khai văn bản số 4321/VP-TH",
        directive=DIRECTIVE,
        figures=FIGURES,
        summary="Có 80 đơn vị chưa trả lời, danh sách ở phụ lục.",
        files=FILES,
    ),
    "receipt": words.ReceiptMail(
        head=HEAD,
        recipient=NAME,
        document=DOCUMENT,
        subject=SUBJECT,
        state="đã tiếp nhận",
        recorded_at="09 giờ 15 ngày 04/12/2023",
        link=LINK,
        code="MAU-012",
        by="Nguyễn Văn Ấ, Trưởng phòng Hành chính",
        late=True,
        mark="0123456789ab",
    ),
    "delegated": words.DelegatedMail(**_LETTER, by="Nguyễn Văn Ấ", name="Trần Thị Bình", note="Xử lý giúp"),
    "declined": words.DeclinedMail(**_LETTER, reason="Văn bản áp dụng cho mọi đơn vị trong khu."),
    "slip": words.SlipMail(
        head=HEAD,
        recipient="Văn phòng Ban Quản lý",
        document="Văn bản số 4321/VP-TH ngày 29/11/2023",
        issuer="Văn phòng Ủy ban nhân dân thành phố Mẫu",
        subject=SUBJECT,
        arrived_on="01/12/2023",
        arrival_number="2101",
        resolver="phòng Kế hoạch",
        link=LINK,
        code="DEN-1",
        urgency="KHẨN",
        files=FILES,
        **_DEADLINE,
    ),
    "notice": words.NoticeMail(
        head=HEAD,
        recipient="Phòng Kế hoạch",
        campaign="4321",
        document=DOCUMENT,
        subject=SUBJECT,
        title="đang tạm dừng",
        advice="Hệ thống không gửi tiếp văn bản của đợt này. Đề nghị người phụ trách kiểm tra.",
        held=True,
        why="27/80 hộp thư từ chối nhận; cần kiểm tra địa chỉ hoặc máy chủ thư",
        since="08 giờ 15 ngày 04/12/2023",
        figures=words.Figures(total=80, settled=3, waiting=77, overdue=0, undeliverable=27),
        link=LINK,
    ),
    "issue_wanted": words.IssueWantedMail(
        head=HEAD,
        recipient="Văn thư",
        letters=(
            words.WaitingLetter(
                title="Công văn gửi các chủ đầu tư",
                subject=SUBJECT,
                campaign="4321",
                since="01/12/2023",
                wanted_by="trong ngày 04/12/2023",
                held_by="lãnh đạo Ban",
                recipients=24,
                link=LINK,
            ),
        ),
        link=LINK,
        step=2,
        files=FILES[:1],
    ),
    **{
        stem: kind(
            **_LETTER, reason="theo đề nghị của đơn vị", old_deadline="17 giờ 00 ngày 05/12/2023",
            old_document="Công văn số 02/BQL-KH ngày 30/11/2023", fragment=FRAGMENT, files=FILES, urgency="KHẨN",
            asked="forward",
        )
        for stem, kind in words.CHANGES.items()
    },
}
