"""Who may look and act on the operators' pages: accounts, sessions, failed sign-ins."""

from alembic import op
import sqlalchemy as sa

import congvan.store.tables

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('operators',
    sa.Column('name', sa.String(length=40), nullable=False),
    sa.Column('full_name', sa.Text(), nullable=False),
    sa.Column('role', sa.String(length=16), nullable=False),
    sa.Column('email', sa.Text(), nullable=False),
    sa.Column('password', sa.Text(), nullable=False),
    sa.Column('created_at', congvan.store.tables.Instant(timezone=True), nullable=False),
    sa.Column('disabled_at', congvan.store.tables.Instant(timezone=True), nullable=True),
    sa.CheckConstraint("role IN ('viewer', 'operator', 'leader')", name=op.f('ck_operators_role_known')),
    sa.PrimaryKeyConstraint('name', name=op.f('pk_operators'))
    )
    op.create_table('sign_in_failures',
    sa.Column('key', sa.String(length=80), nullable=False),
    sa.Column('since', congvan.store.tables.Instant(timezone=True), nullable=False),
    sa.Column('number', sa.Integer(), nullable=False),
    sa.PrimaryKeyConstraint('key', name=op.f('pk_sign_in_failures'))
    )
    op.create_table('sessions',
    sa.Column('token_sha256', sa.String(length=64), nullable=False),
    sa.Column('operator', sa.String(length=40), nullable=False),
    sa.Column('created_at', congvan.store.tables.Instant(timezone=True), nullable=False),
    sa.Column('seen_at', congvan.store.tables.Instant(timezone=True), nullable=False),
    sa.Column('ends_at', congvan.store.tables.Instant(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['operator'], ['operators.name'], name=op.f('fk_sessions_operator')),
    sa.PrimaryKeyConstraint('token_sha256', name=op.f('pk_sessions'))
    )
    with op.batch_alter_table('sessions', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_sessions_ends_at'), ['ends_at'], unique=False)
        batch_op.create_index(batch_op.f('ix_sessions_operator'), ['operator'], unique=False)


def downgrade() -> None:
    raise NotImplementedError("going back is by restoring a backup")
