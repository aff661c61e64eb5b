"""`congvan registry`: organisations in and out of the database."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from congvan.commands.given import person, refuse
from congvan.commands.headings import part
from congvan.commands.session import opened, settings
from congvan.commands.show import as_json, note, place
from congvan.errors import CongvanError

if TYPE_CHECKING:
    from congvan.rules.records import Register

app = part("registry", "Danh bạ: nhập, xuất, mẫu.")
#: Codes that a note shows before it only counts.
_SHOWN = 5


@app.command(name="import")
async def take_in(file: Path, /, *, by: str | None = None, json: bool = False) -> None:
    """Nhập tổ chức, khu, đầu mối, người ký: tất cả các dòng hoặc không dòng nào.

    Điều tệp không nói đến thì giữ nguyên như đã có: cột không có trong tệp, đầu mối và người ký của tổ chức
    không có dòng nào. Ô để trống dưới một tiêu đề thì xóa điều đã ghi.

    Parameters
    ----------
    file
        Tệp .xlsx, .csv hoặc thư mục chứa các tệp .csv.
    by
        Họ tên người nhập.
    json
        In kết quả dạng JSON.
    """
    from congvan.acts import registry
    from congvan.reading import read_cascade
    from congvan.registry import needs_smtputf8, read_register, without_mailbox

    who, levels = person(by), read_cascade(settings().cascade_file).levels
    async with opened(real=True) as house:
        read = read_register([file], levels, await registry.present(house))
        register = await registry.take_over(house, read, who, f"nhập từ {file.name or file}")
    unreachable, wide = without_mailbox(register), [code for code, _ in needs_smtputf8(register)]
    counts = {"organisations": len(register.organisations), "parks": len(register.parks)}
    if json:
        as_json(counts | {"without_mailbox": unreachable, "needs_smtputf8": wide})
    else:
        print(f"Đã nhập {counts['organisations']} tổ chức, {counts['parks']} khu.")
    _mention("tổ chức không có hộp thư", unreachable)
    _mention("hộp thư chỉ máy chủ có SMTPUTF8 mới gửi được", wide)


def _mention(what: str, codes: Sequence[str]) -> None:
    if codes:
        rest = ", …" if len(codes) > _SHOWN else ""
        note(f"Lưu ý: {len(codes)} {what}: {', '.join(codes[:_SHOWN])}{rest}")


@app.command
async def export(file: Path, /) -> None:
    """Xuất danh bạ hiện có; tệp xuất ra nhập lại được.

    Parameters
    ----------
    file
        Tệp .xlsx, hoặc thư mục để ghi các tệp .csv.
    """
    from congvan.acts import registry
    from congvan.registry import write_register

    if file.suffix and file.suffix.lower() != ".xlsx":
        raise refuse("FILE", f"không xuất được thành «{file.suffix}»", "ghi tên tệp .xlsx hoặc tên thư mục", str(file))
    place(file, "FILE")
    async with opened() as house:
        register: Register = await registry.present(house)
    try:
        write_register(register, file)
    except ValueError as error:
        raise CongvanError(str(error)) from error
    print(f"Đã xuất {len(register.organisations)} tổ chức, {len(register.parks)} khu ra {file}.")


@app.command
def template(file: Path, /) -> None:
    """Lập mẫu danh bạ để điền: tiêu đề, ví dụ, danh sách chọn, hướng dẫn.

    Parameters
    ----------
    file
        Tệp .xlsx sẽ lập.
    """
    from congvan.reading import read_cascade
    from congvan.registry import write_template

    if file.suffix.lower() != ".xlsx":
        raise refuse("FILE.xlsx", f"mẫu không lập được thành «{file.name}»", "ghi tên tệp có đuôi .xlsx", str(file))
    place(file, "FILE.xlsx")
    if file.exists():
        raise refuse("FILE.xlsx", "tệp đã có, có thể đã được điền", "ghi một tên khác", str(file))
    write_template(file, read_cascade(settings().cascade_file).levels)
    print(f"Đã lập mẫu {file}.")
