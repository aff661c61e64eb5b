"""What came in: bounces, receipts and answers, read from the mailbox."""

from alembic import op
import sqlalchemy as sa

import congvan.store.tables

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('incoming',
    sa.Column('id', sa.String(length=32), nullable=False),
    sa.Column('mailbox', sa.String(length=200), nullable=False),
    sa.Column('uidvalidity', sa.BigInteger(), nullable=False),
    sa.Column('uid', sa.BigInteger(), nullable=False),
    sa.Column('message_id', sa.String(length=400), nullable=False),
    sa.Column('kind', sa.String(length=16), nullable=False),
    sa.Column('delivery_id', sa.String(length=32), nullable=True),
    sa.Column('about', sa.String(length=32), nullable=True),
    sa.Column('matched_by', sa.String(length=16), nullable=False),
    sa.Column('sender', sa.Text(), nullable=False),
    sa.Column('subject', sa.Text(), nullable=False),
    sa.Column('text', sa.Text(), nullable=False),
    sa.Column('status', sa.String(length=16), nullable=False),
    sa.Column('diagnostic', sa.Text(), nullable=False),
    sa.Column('read_at', congvan.store.tables.Instant(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['about'], ['messages.id'], name=op.f('fk_incoming_about')),
    sa.ForeignKeyConstraint(['delivery_id'], ['deliveries.id'], name=op.f('fk_incoming_delivery_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_incoming')),
    sa.UniqueConstraint('mailbox', 'uidvalidity', 'uid', name=op.f('uq_incoming_mailbox_uidvalidity_uid'))
    )
    with op.batch_alter_table('incoming', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_incoming_delivery_id'), ['delivery_id'], unique=False)
        batch_op.create_index(batch_op.f('ix_incoming_message_id'), ['message_id'], unique=False)


def downgrade() -> None:
    raise NotImplementedError("going back is by restoring a backup")
