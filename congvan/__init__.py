"""Passes an official directive down a chain of organisations and holds every link to an answer.

    rules/    pure: states, transitions, deadlines, routes, records        (stdlib and pydantic)
    store/    the only SQL
    acts/     what the parties do: one act, one function, one transaction
    letters/  words (Jinja2) and page (Typst)
    mail/     messages, the sender, the sink
    portal/   the pages behind the links
    registry/ organisations in and out

Imports point inward; `tests/test_imports_point_inward.py` holds them there.
"""
