"""The table of what is to be said, and when."""

from datetime import datetime
from uuid import UUID

from sqlmodel import Field

from services.entitlements.database import Base
from shared.database import UtcDateTime


class Announcement(Base, table=True):
    """Something to be said about a grant when it is due; the row goes as it is said, or turns out not to be true."""

    __tablename__ = "announcements"

    grant_id: UUID = Field(primary_key=True, foreign_key="entitlements.grants.id")
    type: str = Field(primary_key=True)
    threshold: str = Field(primary_key=True)
    due_at: datetime = Field(sa_type=UtcDateTime, index=True)
