"""What was entered to issue a letter and waits for somebody's yes; every change of the address book."""

from alembic import op
import sqlalchemy as sa

import congvan.store.tables

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('book_changes',
    sa.Column('id', sa.String(length=32), nullable=False),
    sa.Column('organisation', sa.String(length=40), nullable=False),
    sa.Column('at', congvan.store.tables.Instant(timezone=True), nullable=False),
    sa.Column('by', sa.String(length=40), nullable=False),
    sa.Column('why', sa.Text(), nullable=False),
    sa.Column('before', sa.JSON(), nullable=True),
    sa.Column('after', sa.JSON(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_book_changes'))
    )
    with op.batch_alter_table('book_changes', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_book_changes_organisation'), ['organisation'], unique=False)
    op.create_table('entered',
    sa.Column('letter_id', sa.String(length=32), nullable=False),
    sa.Column('number', sa.String(length=8), nullable=False),
    sa.Column('day', sa.Date(), nullable=False),
    sa.Column('sha256', sa.String(length=64), nullable=True),
    sa.Column('paper_scan', sa.Boolean(), nullable=False),
    sa.Column('differences', sa.JSON(), nullable=False),
    sa.Column('entered_by', sa.String(length=40), nullable=False),
    sa.Column('entered_at', congvan.store.tables.Instant(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['letter_id'], ['letters.id'], name=op.f('fk_entered_letter_id')),
    sa.ForeignKeyConstraint(['sha256'], ['files.sha256'], name=op.f('fk_entered_sha256')),
    sa.PrimaryKeyConstraint('letter_id', name=op.f('pk_entered'))
    )


def downgrade() -> None:
    raise NotImplementedError("going back is by restoring a backup")
