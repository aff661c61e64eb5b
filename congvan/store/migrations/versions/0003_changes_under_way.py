"""Changes under way: paused campaigns, letters taken back or replaced, mailboxes in order, claimed cases."""

from alembic import op
import sqlalchemy as sa

import congvan.store.tables

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    instant = congvan.store.tables.Instant(timezone=True)
    op.add_column('campaigns', sa.Column('paused_at', instant, nullable=True))
    op.add_column('deliveries', sa.Column('mailboxes', sa.JSON(), nullable=True))
    op.add_column('deliveries', sa.Column('recall', sa.String(length=12), nullable=True))
    op.add_column('letters', sa.Column('about', sa.String(length=32), nullable=True))
    op.add_column('cases', sa.Column('next_at', instant, nullable=True))


def downgrade() -> None:
    raise NotImplementedError("going back is by restoring a backup")
