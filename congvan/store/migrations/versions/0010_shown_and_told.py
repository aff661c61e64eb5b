"""What Prefect shows and was told of a recipient, so that an act that changes neither costs nothing there."""

from alembic import op
import sqlalchemy as sa

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("deliveries", sa.Column("board_state", sa.String(length=24), nullable=True))
    op.add_column("deliveries", sa.Column("board_event", sa.String(length=64), nullable=True))


def downgrade() -> None:
    raise NotImplementedError("going back is by restoring a backup")
