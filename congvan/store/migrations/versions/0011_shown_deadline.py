"""The deadline that Prefect shows of a recipient: an extension is seen there too."""

from alembic import op
import sqlalchemy as sa

from congvan.store.tables import Instant

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("deliveries", sa.Column("board_due", Instant(), nullable=True))


def downgrade() -> None:
    raise NotImplementedError("going back is by restoring a backup")
