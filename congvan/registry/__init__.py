"""Organisations in and out: workbooks and CSV files ↔ `records.Register`."""

from congvan.registry.export import write_register, write_template
from congvan.registry.references import needs_smtputf8, without_mailbox
from congvan.registry.sheets import read_register

__all__ = ["needs_smtputf8", "read_register", "without_mailbox", "write_register", "write_template"]
