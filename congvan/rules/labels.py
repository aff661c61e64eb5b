"""What the engine's own words are called in Vietnamese: on the officers' pages, in the terminal, in reports.

The pages of recipients have theirs in templates/portal/words.yaml, in two languages; a test holds the two together.
"""

from __future__ import annotations

DELIVERY_STATES = {
    "QUEUED": "Chờ gửi",
    "SENT": "Đã gửi",
    "DELIVERED": "Đã đến",
    "ACKNOWLEDGED": "Đã tiếp nhận",
    "IN_PROGRESS": "Đang xử lý",
    "FORWARDED": "Đã chuyển tiếp",
    "COMPLETED": "Hoàn thành",
    "REJECTED": "Từ chối tiếp nhận",
    "UNDELIVERABLE": "Gửi không thành công",
    "WITHDRAWN": "Đã thu hồi",
    "EXEMPT": "Miễn báo cáo",
}
#: What is counted of a campaign or a hop beside the states, in the order in which it is shown.
TOTALS = {
    "total": "Tổng số", "settled": "Đã xong", "overdue": "Quá hạn", "escalated": "Đã báo cáo lên trên",
    "late": "Trả lời muộn", "not_sent": "Chưa gửi",
}  # fmt: skip
CAMPAIGN_STATES = {"RUNNING": "Đang triển khai", "CLOSED": "Đã kết thúc"}
HOP_STATES = {
    "WAITING": "Chờ cấp trên",
    "PENDING_ISSUE": "Chờ ban hành",
    "OPEN": "Đang theo dõi",
    "SETTLED": "Hoàn thành",
}
LETTER_STATES = {
    "DRAFT": "Dự thảo",
    "PENDING_ISSUE": "Chờ ban hành",
    "ISSUED": "Đã ban hành",
    "REPLACED": "Thay thế",
    "CANCELLED": "Hủy",
}
CHANNELS = {
    "link": "đường dẫn",
    "mail": "thư điện tử",
    "phone": "điện thoại",
    "paper": "văn bản giấy",
    "system": "hệ thống",
}
#: Who acts where no person does.
ACTORS = {"engine": "hệ thống", "recipient": "nơi nhận", "prefect": "Prefect"}

#: One line of a log.
EVENTS = {
    "created": "Lập danh sách", "opened": "Mở chặng, bắt đầu gửi", "launched": "Khởi động",
    "letter_drafted": "Lập dự thảo", "letter_issued": "Ban hành văn bản", "issue_chased": "Nhắc ban hành",
    "settled": "Đã xong cả chặng", "held": "Giữ thư lại, thời hạn vẫn tính", "resumed": "Tiếp tục",
    "reported": "Đã gửi báo cáo", "closed": "Kết thúc đợt", "another_way": "Có thêm đường đến",
    "attempted": "Thử gửi", "delayed": "Máy chủ nhận báo chậm", "reminded": "Nhắc việc", "urged": "Đôn đốc",
    "escalated": "Báo cáo lên trên", "told": "Đã đưa vào bản tổng hợp", "claimed": "Nhận xử lý",
    "escalation_closed": "Kết thúc trường hợp", "extended": "Gia hạn", "bypassed": "Gửi vượt cấp",
    "reached_by_issuer": "Đơn vị chuyển đã gửi", "copied": "Gửi để biết",
    "segment_confirmed": "Xác nhận nội dung áp dụng riêng", "contact_proposed": "Đề nghị đổi đầu mối",
    "asked_to_be_left_out": "Đề nghị không áp dụng", "request_decided": "Đã quyết định đề nghị",
    "already_settled": "Đã xong từ trước", "noted": "Ghi chú", "sent": "Đã gửi", "refused": "Gửi không thành công",
    "arrived": "Đã đến", "acknowledged": "Đã tiếp nhận", "started": "Đang xử lý", "forwarded": "Đã chuyển tiếp",
    "completed": "Hoàn thành", "rejected": "Từ chối tiếp nhận", "readdressed": "Gửi lại", "withdrawn": "Thu hồi",
    "exempted": "Miễn báo cáo", "recalled": "Thu hồi văn bản", "replaced": "Văn bản thay thế",
    "joined": "Bổ sung vào đợt", "paused": "Tạm dừng, ngừng tính thời hạn", "moved": "Lùi thời hạn",
    "letter_recalled": "Thu hồi văn bản", "letter_replaced": "Thay thế văn bản",
    "letter_corrected": "Đính chính văn bản", "recall_agreed": "Đồng ý thu hồi",
    "recall_refused": "Không đồng ý thu hồi", "next_mailbox": "Gửi đến hộp thư kế tiếp", "decided": "Đã quyết định",
    "delegated": "Chuyển cho đồng nghiệp trả lời", "purged": "Đã xóa dữ liệu cá nhân",
}  # fmt: skip

#: Letters as documents: what each is cited as. Any other, also one of an authority's own, is a công văn.
_LETTERS = {"dispatch": "Công điện", "report": "Báo cáo"}
#: The same in a list, told apart.
_LETTER_KINDS = _LETTERS | {
    "slip": "Phiếu giải quyết văn bản đến", "urge": "Công văn đôn đốc", "correction": "Công văn đính chính",
}  # fmt: skip

MAIL_KINDS = {
    "letter": "Văn bản", "bypass": "Văn bản (gửi trực tiếp)", "slip": "Phiếu giải quyết văn bản đến",
    "reminder": "Nhắc việc", "overdue": "Nhắc quá hạn", "urge": "Đôn đốc", "extension": "Thông báo gia hạn",
    "pause": "Thông báo tạm dừng", "resume": "Thông báo tiếp tục", "exemption": "Thông báo miễn báo cáo",
    "withdrawal": "Thông báo thu hồi", "recall": "Thông báo thu hồi văn bản", "replacement": "Văn bản thay thế",
    "correction": "Đính chính", "receipt": "Biên nhận", "delegated": "Chuyển cho đồng nghiệp",
    "declined": "Trả lời đề nghị", "copy": "Gửi để biết", "digest": "Bản tổng hợp", "leader": "Báo cáo lãnh đạo",
    "report": "Báo cáo", "issue_wanted": "Nhắc ban hành", "notice": "Thông báo cho đơn vị phụ trách",
}  # fmt: skip
MAIL_STATES = {
    "QUEUED": "chờ gửi", "CLAIMED": "đang gửi", "SENT": "đã gửi", "REFUSED": "bị từ chối",
    "UNKNOWN": "chưa rõ kết quả", "CANCELLED": "không gửi nữa",
}  # fmt: skip
#: How an attempt to send ended.
OUTCOMES = {
    "accepted": "máy chủ nhận", "refused": "máy chủ từ chối", "unavailable": "chưa gửi được",
    "unknown": "chưa rõ kết quả",
}  # fmt: skip
#: What came back by mail.
INCOMING = {
    "bounce_hard": "Trả lại, gửi không thành công", "bounce_soft": "Báo chậm", "delivered": "Báo đã đến",
    "relayed": "Báo đã chuyển", "auto_reply": "Trả lời tự động", "human": "Thư trả lời của người nhận",
    "unknown": "Chưa rõ loại",
}  # fmt: skip

#: Why somebody has to look at a delivery, in the order in which they are listed.
CASES = {
    "silent": "Quá hạn chưa xác nhận",
    "undeliverable": "Gửi không thành công",
    "rejected": "Từ chối tiếp nhận, trả lại",
}
#: How an obligation is spoken of that is still open, in the order in which a report lists them.
STILL_OPEN = {
    "silent": "chưa xác nhận",
    "partial": "đã tiếp nhận, chưa hoàn thành",
    "undeliverable": "gửi không thành công",
    "rejected": "từ chối tiếp nhận",
    "not_sent": "chưa được gửi đến",
}
REQUESTS = {
    "contact": "Đề nghị đổi đầu mối", "not_us": "Báo hộp thư không phải của đơn vị",
    "not_applicable": "Đề nghị không áp dụng văn bản",
}  # fmt: skip

#: What an account of the officers' pages may do.
ROLES = {"viewer": "Người xem", "operator": "Chuyên viên", "leader": "Lãnh đạo"}


def within(said: str) -> str:
    """A label within a line of text: "Đã gửi" as "đã gửi"."""
    return said[:1].lower() + said[1:]


def letter_name(kind: str) -> str:
    """What a letter of this kind is cited as: "Công văn", "Công điện"."""
    return _LETTERS.get(kind, "Công văn")


def letter_kind(kind: str) -> str:
    """What a letter of this kind is called in a list of letters: "Công văn", "Công văn đôn đốc"."""
    return _LETTER_KINDS.get(kind, letter_name(kind))
