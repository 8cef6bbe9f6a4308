"""The table of fates in pipeline/README.md is the one that the code decides by.

`python -m tests.house.test_fates` prints it.
"""

import sys
from pathlib import Path

from pipeline.errors import PipelineError
from pipeline.retry import FATES

README = Path(__file__).resolve().parents[2] / "pipeline" / "README.md"


def markdown() -> str:
    """Each reason with what happened and the next step, in the order of the code."""
    sentences = {error.reason: str(error()) for error in _below(PipelineError)}
    lines = ["| reason | what happened | next step |", "| --- | --- | --- |"]
    lines += [f"| `{reason}` | {sentences[reason]} | {fate.value} |" for reason, fate in FATES.items()]
    return "\n".join(lines)


def _below(base: type[PipelineError]) -> list[type[PipelineError]]:
    return [error for child in base.__subclasses__() for error in (child, *_below(child))]


def test_the_table_of_fates_is_the_generated_one() -> None:
    readme = README.read_text("utf-8")

    table = readme.split("<!-- fates: ")[1].split("-->\n")[1].split("<!-- /fates")[0]

    assert table.strip() == markdown(), (
        "run `python -m tests.house.test_fates`, paste it into pipeline/README.md"
    )


if __name__ == "__main__":
    sys.stdout.write(f"{markdown()}\n")
