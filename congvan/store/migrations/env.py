"""How Alembic reaches the database: over the connection that `Store.migrate` hands it."""

from alembic import context

from congvan.store.tables import Table

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=Table.metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
