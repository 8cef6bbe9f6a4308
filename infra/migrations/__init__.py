"""The database's shape over time. `upgrade` brings it to today's; `check` says which command to run."""
