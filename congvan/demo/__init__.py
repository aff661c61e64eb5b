"""What `congvan up --demo` adds: a mail sink, recipients that answer real mails, and the count at the end."""
