"""`congvan join`: who registered after the launch comes in by an act of a named person."""

from __future__ import annotations

from congvan.commands import given
from congvan.commands.session import opened
from congvan.commands.show import as_json, moment


async def join(campaign: str, organisation: str, /, *, by: str, direct: bool = False, json: bool = False) -> None:
    """Thêm một đơn vị mới có trong danh bạ vào đợt đang triển khai; đơn vị có văn bản và thời hạn riêng.

    Parameters
    ----------
    campaign
        Mã của đợt.
    organisation
        Mã của đơn vị trong danh bạ.
    by
        Họ tên người quyết định.
    direct
        Gửi thẳng văn bản của cơ quan chủ trì, khi chủ đầu tư hạ tầng không chuyển tiếp trong đợt này.
    json
        In kết quả dạng JSON.
    """
    from congvan.acts import joining

    who = given.person(by)
    async with opened() as house:
        joined = await joining.join(house, campaign, organisation, who, direct=direct)
    due = joined.due_at.isoformat() if joined.due_at else None
    if json:
        as_json({"delivery": joined.delivery_id, "code": joined.code, "issuer": joined.issuer, "due_at": due})
    elif due:
        print(f"Đã thêm {joined.code}, gửi theo văn bản của {joined.issuer}; thời hạn {moment(due)}")
    else:
        print(f"Đã thêm {joined.code}; văn bản của {joined.issuer} chưa ban hành, sẽ gửi cùng các đơn vị khác")
