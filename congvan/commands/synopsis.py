"""What `congvan --help` lists: every command in the shape that others script against."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

#: By group: (shape, what it does). A test holds this list against the commands that there are.
COMMANDS: Mapping[str, tuple[tuple[str, str], ...]] = MappingProxyType(
    {
        "Chạy": (
            ("up [--demo] [--speed N] [--exit] [--home DIR]", "chạy tất cả: máy chủ Prefect, luồng, trang"),
            ("portal [--host HOST] [--port N]", "chỉ chạy các trang web"),
            ("doctor [--json]", "kiểm tra cấu hình, cơ sở dữ liệu, thư, Prefect, đồng hồ, khóa"),
            ("migrate", "nâng cơ sở dữ liệu lên phiên bản của chương trình"),
            ("simulate [--seed N] [--tenants N] [--days N] [--json]", "diễn quy trình trong thời gian giả, có lỗi"),
        ),
        "Danh bạ": (
            (
                "registry import FILE|FOLDER [--by NAME] [--json]",
                "nhập tổ chức từ CSV, XLSX: tất cả các dòng hoặc không dòng nào",
            ),
            ("registry export FILE.xlsx|FOLDER", "xuất danh bạ hiện có"),
            ("registry template FILE.xlsx", "lập mẫu để điền"),
        ),
        "Kế hoạch": (
            ("lint PLAN.yaml [--json]", "soát thể thức theo NĐ 30/2020/NĐ-CP"),
            ("audience PLAN.yaml [--only in|out] [--json]", "xem trước ai nhận, ai không, vì sao"),
            ("letter render PLAN.yaml --issuer CODE --out FILE.pdf|.html|.docx", "xem trước văn bản, không gửi"),
            ("letter trial PLAN.yaml --recipient CODE --to ADDRESS", "gửi thử thư của một nơi nhận cho chính mình"),
            (
                "deadline --from DATE --days N [--calendar state|enterprise|both]",
                "ngày hết hạn theo ngày làm việc của Việt Nam",
            ),
            ("calendar apply --by NAME [--dry-run] [--json]", "tính lại thời hạn đang mở theo lịch mới"),
        ),
        "Đợt triển khai": (
            ("campaign launch PLAN.yaml [--mode live|exercise|demo] [--by NAME] [--json]", "khởi động"),
            (
                "campaign issue CAMPAIGN --number N --date D --signed FILE.pdf [--paper-scan] [--by NAME]",
                "ban hành văn bản của cơ quan chủ trì",
            ),
            ("campaign hold CAMPAIGN --by NAME [--why TEXT]", "giữ lại thư chưa gửi; thời hạn vẫn tính"),
            ("campaign pause CAMPAIGN --why TEXT --by NAME", "tạm dừng, ngừng tính mọi thời hạn"),
            ("campaign resume CAMPAIGN --by NAME", "tiếp tục"),
            (
                "campaign extend CAMPAIGN --until DATETIME --why TEXT [--issuer CODE] [--park CODE] [--level LEVEL]",
                "gia hạn cho tất cả hoặc cho nhiều nơi nhận",
            ),
            ("campaign close CAMPAIGN --by NAME", "kết thúc và trình báo cáo"),
            ("join CAMPAIGN ORGANISATION --by NAME [--direct]", "thêm một đơn vị đăng ký sau khi đã khởi động"),
            ("status [CAMPAIGN] [--json]", "tình hình các đợt"),
            ("report CAMPAIGN --format pdf|docx|xlsx|json --out FILE", "báo cáo, lúc nào cũng được"),
        ),
        "Lưu trữ": (
            (
                "register outgoing|incoming|tracking --year Y --out FILE.pdf|.xlsx [--exercises] [--json]",
                "sổ văn bản đi, văn bản đến, theo dõi giải quyết",
            ),
            ("audit [CAMPAIGN] [--export FILE.jsonl] [--seal HASH] [--json]", "kiểm tra nhật ký; có sai lệch thì 1"),
            ("retention [--dry-run] [--by NAME] [--json]", "xóa dữ liệu liên hệ và nội dung thư quá thời hạn giữ"),
        ),
        "Văn bản": (
            ("letters CAMPAIGN [--json]", "các văn bản của một đợt"),
            ("letter draft LETTER --out FILE.pdf|.docx [--number N --date D]", "lấy dự thảo để trình ký"),
            (
                "letter issue LETTER --number N --date D --signed FILE.pdf [--paper-scan] "
                "[--accept-differences-by NAME] [--by NAME]",
                "ban hành một văn bản bằng tệp đã ký",
            ),
            ("letter approve LETTER --by NAME", "duyệt nội dung người khác đã nhập để ban hành"),
            ("letter recall LETTER --why TEXT --by NAME", "thu hồi từ mọi nơi đã nhận"),
            ("letter replace LETTER PLAN.yaml --why TEXT --by NAME", "soạn văn bản thay thế, trình ban hành"),
            ("letter correct LETTER --wrong TEXT --right TEXT --by NAME", "soạn công văn đính chính, trình ban hành"),
            (
                "letter add LETTER [--finding TEXT …] [--proposal TEXT …] --by NAME",
                "ghi khó khăn, vướng mắc hoặc đề xuất, kiến nghị vào báo cáo đang chờ ban hành, thay ý đã ghi",
            ),
            ("number reserve ISSUER SYMBOL --first N --last N --year Y --by NAME", "dành dải số cho hệ thống"),
            ("number allocate LETTER --by NAME", "cấp số từ dải đã dành cho một văn bản đang chờ"),
            ("number void ISSUER SYMBOL NUMBER --year Y --why TEXT --by NAME", "hủy số, giữ trong sổ kèm lý do"),
            ("number register ISSUER --year Y [--json]", "sổ các số do hệ thống cấp"),
        ),
        "Bảng theo dõi": (
            ("board check [--json]", "so Prefect với cơ sở dữ liệu"),
            ("board rebuild [CAMPAIGN] [--json]", "đăng lại từ cơ sở dữ liệu"),
        ),
        "Thư": (
            ("mail inbox [--json]", "đọc hộp thư đến; thư chưa rõ thuộc nơi nhận nào"),
            ("mail unknown [--json]", "thư chưa rõ máy chủ đã nhận hay chưa"),
            ("reconcile --resend|--assume-sent --by NAME [--json]", "cho gửi lại sau khi khôi phục từ bản sao lưu"),
        ),
        "Nơi nhận": (
            ("deliveries CAMPAIGN [--json]", "từng nơi nhận, mỗi dòng một đối tượng JSON"),
            (
                "confirm DELIVERY [--by NAME] [--channel phone|paper] [--completed [--field KEY=VALUE …] "
                "[--file KEY=FILE …] [--note TEXT]]",
                "ghi nhận đã tiếp nhận, hoàn thành",
            ),
            ("reject DELIVERY --why TEXT [--by NAME] [--channel phone|paper]", "ghi nhận từ chối tiếp nhận"),
            ("forward DELIVERY [--number N] [--signed FILE.pdf] [--by NAME]", "ghi nhận đã chuyển tiếp"),
            ("resend DELIVERY [--to ADDRESS] [--why TEXT] [--by NAME]", "gửi lại, có thể đến hộp thư khác"),
            ("extend DELIVERY --until DATETIME --why TEXT [--by NAME]", "gia hạn"),
            ("requests [CAMPAIGN] [--json]", "đề nghị của nơi nhận đang chờ quyết định"),
            (
                "decide REQUEST|DELIVERY --accept|--decline [--why TEXT] [--by NAME] [--book] [--readdress]",
                "chấp thuận (miễn, đổi đầu mối) hoặc không",
            ),
            ("exempt DELIVERY --why TEXT [--by NAME]", "miễn báo cáo"),
            ("history DELIVERY [--json]", "từng lần gửi, câu trả lời của máy chủ, thư đến và sự kiện"),
            ("withdraw DELIVERY --why TEXT [--by NAME]", "thu hồi từ một nơi nhận"),
            ("recalled DELIVERY --agreed|--why TEXT [--by NAME]", "ghi nhận trả lời yêu cầu thu hồi"),
            ("case claim DELIVERY --by NAME [--note TEXT] [--next DATETIME]", "nhận xử lý, hẹn ngày xem lại"),
            ("case note DELIVERY TEXT --by NAME", "ghi việc đã làm"),
            ("case decide DELIVERY --why TEXT --by NAME", "khép trường hợp bằng quyết định"),
        ),
        "Trang cán bộ": (
            (
                "operator add NAME --role viewer|operator|leader [--full-name NAME] [--email ADDRESS]",
                "mở tài khoản; mật khẩu hỏi trên màn hình hoặc đọc từ stdin",
            ),
            ("operator list [--json]", "các tài khoản"),
            ("operator password NAME", "đặt mật khẩu mới; mọi phiên đang mở kết thúc"),
            ("operator role NAME viewer|operator|leader", "đổi vai trò"),
            ("operator email NAME ADDRESS", "đặt hộp thư nhận thư gửi thử"),
            ("operator disable NAME", "khóa tài khoản"),
            ("operator unlock NAME", "mở lại tài khoản bị khóa"),
        ),
    }
)

_HEAD = """\
congvan: chuyển công văn xuống từng cấp và theo dõi đến khi có trả lời.

Cách dùng: congvan LỆNH …    (congvan LỆNH --help: từng tùy chọn)
"""
_TAIL = """\
Kết thúc bằng 0: xong; 1: không làm được; 2: đầu vào sai. Cài đặt: biến môi trường CONGVAN_* hoặc tệp .env."""


def said_of(command: str) -> str:
    """What a command does: "letter draft" → "Lấy dự thảo để trình ký."."""
    listed = (one for commands in COMMANDS.values() for one in commands)
    what = next(what for shape, what in listed if shape.startswith(f"{command} "))
    return f"{what[:1].upper()}{what[1:]}."


def synopsis() -> str:
    """The whole help text."""
    parts = [_HEAD]
    for group, commands in COMMANDS.items():
        parts.append(f"{group}:")
        parts += [f"  congvan {shape}\n      {what}" for shape, what in commands]
        parts.append("")
    return "\n".join([*parts, _TAIL])
