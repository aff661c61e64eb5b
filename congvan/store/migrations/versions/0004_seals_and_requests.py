"""The lines of seals; what recipients ask of a person."""

from alembic import op
import sqlalchemy as sa

import congvan.store.tables

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table('seals', schema=None) as batch_op:
        batch_op.add_column(sa.Column('events', sa.Integer(), nullable=False, server_default='0'))
    op.create_table('seal_lines',
    sa.Column('campaign_id', sa.String(length=32), nullable=False),
    sa.Column('seal', sa.Integer(), nullable=False),
    sa.Column('stream', sa.String(length=32), nullable=False),
    sa.Column('event_seq', sa.Integer(), nullable=False),
    sa.Column('event_head', sa.String(length=64), nullable=False),
    sa.ForeignKeyConstraint(['campaign_id'], ['campaigns.id'], name=op.f('fk_seal_lines_campaign_id')),
    sa.PrimaryKeyConstraint('campaign_id', 'seal', 'stream', name=op.f('pk_seal_lines'))
    )
    op.create_table('requests',
    sa.Column('id', sa.String(length=32), nullable=False),
    sa.Column('campaign_id', sa.String(length=32), nullable=False),
    sa.Column('delivery_id', sa.String(length=32), nullable=False),
    sa.Column('kind', sa.String(length=16), nullable=False),
    sa.Column('words', sa.JSON(), nullable=False),
    sa.Column('made_at', congvan.store.tables.Instant(timezone=True), nullable=False),
    sa.Column('state', sa.String(length=12), nullable=False),
    sa.Column('decided_at', congvan.store.tables.Instant(timezone=True), nullable=True),
    sa.Column('decided_by', sa.Text(), nullable=True),
    sa.Column('decided_why', sa.Text(), nullable=True),
    sa.CheckConstraint("kind IN ('contact', 'not_us', 'not_applicable')", name=op.f('ck_requests_kind_known')),
    sa.CheckConstraint("(state = 'OPEN') = (decided_at IS NULL) AND (state = 'OPEN') = (decided_by IS NULL)", name=op.f('ck_requests_decided_by_somebody')),
    sa.ForeignKeyConstraint(['campaign_id'], ['campaigns.id'], name=op.f('fk_requests_campaign_id')),
    sa.ForeignKeyConstraint(['delivery_id'], ['deliveries.id'], name=op.f('fk_requests_delivery_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_requests'))
    )
    with op.batch_alter_table('requests', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_requests_campaign_id'), ['campaign_id'], unique=False)
        batch_op.create_index(batch_op.f('ix_requests_delivery_id'), ['delivery_id'], unique=False)
        batch_op.create_index('uq_requests_open', ['delivery_id'], unique=True, sqlite_where=sa.text("state = 'OPEN' AND kind = 'not_applicable'"), postgresql_where=sa.text("state = 'OPEN' AND kind = 'not_applicable'"))


def downgrade() -> None:
    raise NotImplementedError("going back is by restoring a backup")
