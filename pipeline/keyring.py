"""The public keys that an audit log may be signed with: a file's text in, trusted keys out.

One key on a line, the oldest first: `name+id+base64`, then the tree size above which it signs (what was
sealed before has its predecessor's signature), then a remark, such as when it was made.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from pipeline.errors import InvalidSettingsError
from pipeline.note import InvalidNote, PublicKey
from schemas.text import clean


@dataclass(frozen=True, slots=True)
class TrustedKey:
    """A key and the tree size above which it signs."""

    key: PublicKey
    above: int = 0
    remark: str = ""

    @property
    def line(self) -> str:
        return f"{self.key} {self.above} {self.remark}".rstrip() + "\n"


def parse(text: str) -> tuple[TrustedKey, ...]:
    """Read the lines; empty ones and those that begin with # are passed over. Raises InvalidSettingsError."""
    return tuple(_lines(text))


def _lines(text: str) -> Iterator[TrustedKey]:
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split(maxsplit=2)
        if not words or line.startswith("#"):
            continue
        try:
            key = PublicKey.parse(words[0])
            above = int(words[1]) if len(words) > 1 else 0
        except (InvalidNote, ValueError) as error:
            problem = clean(str(error), max_length=200)
            raise InvalidSettingsError(f"line {number} of the public keys: {problem}") from error
        yield TrustedKey(key, above, words[2] if len(words) > 2 else "")
