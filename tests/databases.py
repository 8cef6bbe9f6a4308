"""Databases of tests, away with them: as SQL that a role without special rights may run."""

from typing import Final

#: DROP ... WITH (FORCE) fails while autovacuum is there, which runs as superuser; a plain DROP sends it away.
LEAVE: Final = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
    "WHERE datname = '{name}' AND usename = current_user AND pid <> pg_backend_pid()"
)
DROP: Final = 'DROP DATABASE "{name}"'
