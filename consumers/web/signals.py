"""What the machine knew of its answer in, what that means out: in words, as far as people proved it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from consumers.quality import Measured
from pipeline.confidence import CHANCE, SIGNALS, Coverage, Estimate, Quality
from pipeline.judged import Signals, last_answer, signals

#: What people call a signal.
NAMES: Final[Mapping[str, str]] = {
    "score": "Score",
    "least_grounding": "Weakest evidence",
    "share_grounded": "Values in the text",
    "few_attempts": "Calls",
    "no_complaints": "Checks",
    "agreement": "Agreement",
}


@dataclass(frozen=True, slots=True)
class Signal:
    """One of them, of this answer; `meaning` is empty where nobody knows that it has one."""

    name: str
    said: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Known:
    """Of one answer: its signals, how it compares, and why there may be nothing to say of that."""

    signals: tuple[Signal, ...]
    compared: str
    unknown: str

    @property
    def brief(self) -> str:
        """In one line: the weakest evidence is most of the score already."""
        score, _, *others = (one.said for one in self.signals)
        return " · ".join([f"score {score}", *others])


def known(records: Sequence[Mapping[str, Any]], measured: Measured) -> Known | None:
    """Of an event's last answer of a machine; None without one.

    It is compared with its own kind: the sampled with the sampled, the doubted with the doubted.
    """
    answer = last_answer(records)
    if answer is None:
        return None
    found = signals(answer)
    group = measured.sampled if answer.get("sampled") else measured.doubted
    proven = {name: one for name, one in group.separation.items() if one.low > CHANCE}
    told = tuple(Signal(NAMES[name], _SAID[name](found), _meaning(proven.get(name))) for name in SIGNALS)
    compared = _compared(found, group) if "score" in proven else ""
    return Known(told, compared, _unknown(group, proven))


def step_of(score: float, curve: Sequence[Coverage]) -> Coverage | None:
    """Of the steps that an answer with this score is on, the narrowest."""
    fitting = [one for one in curve if score >= one.threshold]
    return max(fitting, key=lambda one: one.threshold, default=None)


def _meaning(found: Estimate | None) -> str:
    if found is None:
        return ""
    return f"tells right from wrong here: AUROC {found.value:.2f} ({found.low:.2f} to {found.high:.2f})"


def _compared(found: Signals, group: Quality) -> str:
    step = step_of(found.combined, group.curve)
    if step is None:
        return "Its score is lower than that of nine tenths of what people judged here."
    return (
        f"Of {step.items} answers that people judged here with a score of {step.threshold:.2f} or more, "
        f"{step.wrong} were wrong."
    )


def _unknown(group: Quality, proven: Mapping[str, Estimate]) -> str:
    if group.too_few:
        return f"What they mean here is not known yet: {group.too_few}."
    return "" if proven else "None of them tells right from wrong here, as far as people's decisions show."


def _grounded(found: Signals) -> str:
    return (
        "every value that needs it is in the text"
        if found.grounded == 1
        else f"{found.grounded:.0%} of the values that need it are in the text"
    )


def _calls(found: Signals) -> str:
    number = round(-found.attempts)
    return "one call" if number == 1 else f"{number} calls"


def _complaints(found: Signals) -> str:
    number = round(-found.complaints)
    if not number:
        return "no check complained"
    return "a check complained once" if number == 1 else f"checks complained {number} times"


def _agreement(found: Signals) -> str:
    if not found.agreement:
        return "an answer before was another one"
    return "no answer before" if found.attempts == -1 else "no other answer was given"


_SAID: Final[Mapping[str, Any]] = {
    "score": lambda found: f"{max(found.combined, 0):.2f} of 100",
    "least_grounding": lambda found: f"{found.least:.0f} of 100",
    "share_grounded": _grounded,
    "few_attempts": _calls,
    "no_complaints": _complaints,
    "agreement": _agreement,
}


def rows(group: Quality) -> Iterator[tuple[str, Estimate, bool]]:
    """The signals of a group: its name, its AUROC, and whether it is shown to be better than chance."""
    for name, found in group.separation.items():
        yield NAMES[name], found, found.low > CHANCE
