"""Steps that name an organisation, or a further mailbox of an office, are longer than forty characters."""

from alembic import op
import sqlalchemy as sa

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # SQLite holds nobody to a length, and could only change one by writing the whole table anew.
    if op.get_bind().dialect.name == "postgresql":
        op.alter_column("messages", "step", type_=sa.String(length=120))
        op.alter_column("messages", "message_id", type_=sa.String(length=440))


def downgrade() -> None:
    raise NotImplementedError("going back is by restoring a backup")
