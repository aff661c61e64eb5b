"""What deliveries and organisations are found and sorted by, and the indexes of the operators' table."""

import re
import unicodedata
from typing import Any

from alembic import op
import sqlalchemy as sa

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def _fold(text: str) -> str:
    bare = unicodedata.normalize("NFD", text.replace("đ", "d").replace("Đ", "D"))
    kept = "".join(letter for letter in bare if not unicodedata.combining(letter))
    return " ".join(re.findall(r"[a-z0-9]+", kept.lower()))


def upgrade() -> None:
    for table in ("deliveries", "organisations"):
        op.add_column(table, sa.Column("folded", sa.Text(), nullable=False, server_default=""))
    _fill()
    op.create_index('ix_deliveries_by_answer', 'deliveries', ['campaign_id', 'confirmed_at', 'id', 'state'])
    op.create_index('ix_deliveries_by_code', 'deliveries', ['campaign_id', 'code', 'id'])
    op.create_index('ix_deliveries_by_due', 'deliveries', ['campaign_id', 'due_at', 'id'])
    op.create_index('ix_deliveries_by_name', 'deliveries', ['campaign_id', 'folded', 'id'])
    op.create_index(
        'ix_deliveries_figures', 'deliveries',
        ['campaign_id', 'hop_id', 'state', 'settles', 'park', 'due_at', 'late', 'escalated_at'],
    )


def _fill() -> None:
    connection = op.get_bind()
    deliveries = sa.table("deliveries", sa.column("id"), sa.column("name"), sa.column("recipient"), sa.column("folded"))
    organisations = sa.table(
        "organisations", sa.column("code"), sa.column("record", sa.JSON()), sa.column("folded")
    )
    rows = connection.execute(sa.select(deliveries.c.id, deliveries.c.name, deliveries.c.recipient)).all()
    _set(connection, deliveries, deliveries.c.id, [(key, f"{name} {code}") for key, name, code in rows])
    found = []
    for code, record in connection.execute(sa.select(organisations.c.code, organisations.c.record)).all():
        names = (record.get("name", ""), code, record.get("name_en", ""), record.get("short_name", ""))
        found.append((code, " ".join((*names, record.get("tax_code", "")))))
    _set(connection, organisations, organisations.c.code, found)


def _set(connection: sa.Connection, table: Any, key: Any, texts: list[tuple[str, str]]) -> None:
    if texts:
        statement = sa.update(table).where(key == sa.bindparam("key")).values(folded=sa.bindparam("text"))
        connection.execute(statement, [{"key": one, "text": _fold(text)} for one, text in texts])


def downgrade() -> None:
    raise NotImplementedError("going back is by restoring a backup")
