"""The audit log: which committed records have which place in it, and the seals on them.

Places are in a table of their own, so that a record is written once and never touched again: a column
of `audit_record` would have to be filled in after the commit. `audit_unsealed` is the queue between the
two. A trigger on `audit_record` fills it in the transaction of the record, so that no writer can forget;
finding the same rows by anti-join costs a scan of the whole log, every second.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, LargeBinary, Text, Uuid
from sqlmodel import Field, SQLModel

from infra.tables.fields import sequence, table, utc_time


class UnsealedRow(SQLModel, table=True):
    """A record that waits for its seal. `seq` is the order of insertion, not of commits."""

    __tablename__ = "audit_unsealed"

    seq: int = sequence()
    record_id: UUID = Field(sa_type=Uuid)


class LeafRow(SQLModel, table=True):
    """The place of a record in the log: from 0, without a gap."""

    __tablename__ = "audit_leaf"

    sequence: int = Field(primary_key=True, sa_type=BigInteger, sa_column_kwargs={"autoincrement": False})
    record_id: UUID = Field(sa_type=Uuid, unique=True)
    leaf: bytes = Field(sa_type=LargeBinary)
    batch: int = Field(sa_type=BigInteger)


class SealRow(SQLModel, table=True):
    """`pipeline.seal.Seal`. Both unique columns stop a second sealer that missed the first one's batch."""

    __tablename__ = "audit_seal"

    batch: int = Field(primary_key=True, sa_type=BigInteger, sa_column_kwargs={"autoincrement": False})
    first: int = Field(sa_type=BigInteger, unique=True)
    size: int = Field(sa_type=BigInteger)
    root: bytes = Field(sa_type=LargeBinary)
    frontier: bytes = Field(sa_type=LargeBinary)
    link: bytes = Field(sa_type=LargeBinary)
    sealed_at: datetime = utc_time()
    key: str
    note: str = Field(sa_type=Text)


audit_unsealed = table(UnsealedRow)
audit_leaf = table(LeafRow)
audit_seal = table(SealRow)
