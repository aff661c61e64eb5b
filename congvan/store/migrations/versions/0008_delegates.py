"""Colleagues to whom a recipient has passed its page."""

from alembic import op
import sqlalchemy as sa

import congvan.store.tables

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('delegates',
    sa.Column('id', sa.String(length=32), nullable=False),
    sa.Column('campaign_id', sa.String(length=32), nullable=False),
    sa.Column('delivery_id', sa.String(length=32), nullable=False),
    sa.Column('address', sa.Text(), nullable=False),
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('named_by', sa.Text(), nullable=False),
    sa.Column('made_at', congvan.store.tables.Instant(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['campaign_id'], ['campaigns.id'], name=op.f('fk_delegates_campaign_id')),
    sa.ForeignKeyConstraint(['delivery_id'], ['deliveries.id'], name=op.f('fk_delegates_delivery_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_delegates'))
    )
    with op.batch_alter_table('delegates', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_delegates_campaign_id'), ['campaign_id'], unique=False)
        batch_op.create_index(batch_op.f('ix_delegates_delivery_id'), ['delivery_id'], unique=False)


def downgrade() -> None:
    raise NotImplementedError("going back is by restoring a backup")
