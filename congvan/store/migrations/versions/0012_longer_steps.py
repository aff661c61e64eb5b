"""Steps that name an organisation or a further mailbox of an office are longer than forty characters; names of people
and symbols of letters are as long as somebody has made them."""

from alembic import op
import sqlalchemy as sa

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_UNBOUNDED = (
    ("entered", "number"),
    ("entered", "entered_by"),
    ("book_changes", "by"),
    ("letters", "symbol"),
    ("numbers", "series"),
)


def upgrade() -> None:
    # SQLite holds nobody to a length, and could only change one by writing the whole table anew.
    if op.get_bind().dialect.name == "postgresql":
        op.alter_column("messages", "step", type_=sa.String(length=120))
        op.alter_column("messages", "message_id", type_=sa.String(length=440))
        for table, column in _UNBOUNDED:
            op.alter_column(table, column, type_=sa.String())


def downgrade() -> None:
    raise NotImplementedError("going back is by restoring a backup")
