"""What an answer rests on: the mark of a field that needs a quote, and what became of each quote."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal


@dataclass(frozen=True, slots=True)
class Evidence:
    """Marks a field that the model must prove: `amount: Annotated[Money, Evidence()]`.

    The model is asked for a verbatim quote beside the value; quote and value are checked against the
    text. `otherwise` says what becomes of a value that is not grounded: the event goes to review, or
    the value becomes null (optional fields only).

    `words` are the spellings in the text that stand for a value, for enums and codes:
    `Evidence(words={"refund": ("refund", "money back"), "other": ()})`. A value that is not listed
    stands for its own words, but for those that another value has, too; one with an empty tuple needs
    none, its quote alone is enough.
    """

    otherwise: Literal["review", "null"] = "review"
    words: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)


class Verdict(StrEnum):
    """What the check of one value came to; the first four support it."""

    EXACT = "exact"
    """The quote is in the text, character for character."""
    NORMALISED = "normalised"
    """It is, but for case, white space, dashes, quotation marks and compatible characters."""
    FUZZY = "fuzzy"
    """A passage of the text is so close to the quote that it must be the one meant."""
    AMBIGUOUS = "ambiguous"
    """The quote is in the text more than once; the span is of one that says the value."""
    NOT_FOUND = "not_found"
    """The quote is not in the text."""
    CONTRADICTED = "contradicted"
    """The quote is in the text, but does not say the value."""
    ABSENT = "absent"
    """There is no value: null, or an empty list."""


#: From bad to good: a list is worth as much as the worst of its values.
_WORST_FIRST = (
    Verdict.NOT_FOUND,
    Verdict.CONTRADICTED,
    Verdict.ABSENT,
    Verdict.FUZZY,
    Verdict.AMBIGUOUS,
    Verdict.NORMALISED,
    Verdict.EXACT,
)
#: The score of a quote that is in the text as it was given.
_FULL = 100
_SUPPORTING = frozenset({Verdict.EXACT, Verdict.NORMALISED, Verdict.FUZZY, Verdict.AMBIGUOUS})


@dataclass(frozen=True, slots=True)
class Grounding:
    """What one value rests on: `start` and `end` are character offsets in the text, None if not found.

    `score` is how close text and quote are, 0 to 100; `path` is `amount`, or `parties[0]` in a list.
    """

    path: str
    verdict: Verdict
    start: int | None = None
    end: int | None = None
    score: int = 0

    @property
    def found(self) -> bool:
        """Is the quote in the text, and does the text there say the value?"""
        return self.verdict in _SUPPORTING


class EvidenceMap:
    """The groundings of an answer by path: `evidence.amount.found`, `evidence["parties[0]"].start`.

    Iterates over the paths, one per value. A list is also there as a whole, found if all of it is:
    `evidence.parties.found`. It is no `Mapping` because that brings `items`, `keys` and `values`,
    which fields may be called too.
    """

    __slots__ = ("_by_path",)

    def __init__(self, groundings: Iterable[Grounding] = ()) -> None:
        self._by_path = {grounding.path: grounding for grounding in groundings}

    def __getitem__(self, path: str) -> Grounding:
        if path in self._by_path:
            return self._by_path[path]
        parts = [one for key, one in self._by_path.items() if key.partition("[")[0] == path]
        if not parts:
            raise KeyError(path)
        return _whole(path, parts)

    def __getattr__(self, name: str) -> Grounding:
        if name.startswith("_"):  # copy and pickle look for such names before there is a map
            raise AttributeError(name)
        try:
            return self[name]
        except KeyError:
            fields = ", ".join(dict.fromkeys(path.partition("[")[0] for path in self)) or "none"
            raise AttributeError(f"{name!r} has no evidence; the fields marked Evidence: {fields}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_path)

    def __len__(self) -> int:
        return len(self._by_path)

    def __contains__(self, path: object) -> bool:
        return path in self._by_path

    def __eq__(self, other: object) -> bool:
        return isinstance(other, EvidenceMap) and self._by_path == other._by_path

    def __hash__(self) -> int:
        return hash(frozenset(self._by_path.values()))

    def __repr__(self) -> str:
        return f"EvidenceMap({list(self._by_path.values())!r})"


def support(groundings: Iterable[Grounding], *, attempts: int) -> float:
    """How well an answer is supported: its lowest grounding score, less 0.01 for each further attempt.

    Of a value without evidence the score is 0, of no value at all 100. Nothing is trained: a person can
    check it by hand, and it means the same tomorrow.
    """
    scores = [one.score if one.found else 0 for one in groundings if one.verdict is not Verdict.ABSENT]
    return min(scores, default=_FULL) - min(max(attempts - 1, 0), 99) / 100


def _whole(path: str, parts: list[Grounding]) -> Grounding:
    """The grounding of a list: the worst verdict and score of its values, from the first to the last span."""
    starts = [one.start for one in parts if one.start is not None]
    ends = [one.end for one in parts if one.end is not None]
    return Grounding(
        path,
        min((one.verdict for one in parts), key=_WORST_FIRST.index),
        start=min(starts, default=None),
        end=max(ends, default=None),
        score=min(one.score for one in parts),
    )
