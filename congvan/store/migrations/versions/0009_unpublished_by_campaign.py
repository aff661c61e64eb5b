"""What the Prefect board does not show yet is found by campaign and hop, without a look at what it shows."""

from alembic import op
import sqlalchemy as sa

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    unseen = sa.text("board_seq > board_seen")
    op.drop_index("ix_deliveries_unpublished", table_name="deliveries")
    op.create_index(
        "ix_deliveries_unpublished", "deliveries", ["campaign_id", "hop_id"],
        unique=False, sqlite_where=unseen, postgresql_where=unseen,
    )


def downgrade() -> None:
    raise NotImplementedError("going back is by restoring a backup")
