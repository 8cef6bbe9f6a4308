"""Penstock's own labelled documents: what the demo, the tests and the scores run on without any download."""

from infra.samples.documents import Labels, Malformed, Name, Sample, malformed, read

__all__ = ["Labels", "Malformed", "Name", "Sample", "malformed", "read"]
