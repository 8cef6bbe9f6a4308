"""The verbs; a workflow's author needs these, the rest is in the modules."""

from pipeline.comparators import ByMeaning
from pipeline.source import IGNORED, Ignored, Source
from pipeline.workflow import PromptFile, Workflow

__all__ = ["IGNORED", "ByMeaning", "Ignored", "PromptFile", "Source", "Workflow"]
