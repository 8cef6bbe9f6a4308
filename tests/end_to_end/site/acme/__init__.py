"""A company that uses Penstock: its own package, beside Penstock's."""
