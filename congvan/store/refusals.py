"""What a database answers that is away, restarts or has no room: for those who have to outlive it."""

from __future__ import annotations

from sqlalchemy.exc import DBAPIError

#: Whatever comes from the driver. orig: the driver's own exception.
Refused = DBAPIError
