"""The verbs; a workflow's author needs these, the rest is in the modules."""

from pipeline.source import IGNORED, Ignored, Source
from pipeline.workflow import PromptFile, Workflow

__all__ = ["IGNORED", "Ignored", "PromptFile", "Source", "Workflow"]
