"""The evidence of an answer is read by field, by value and as a whole."""

import copy
import pickle

import pytest

from schemas.evidence import Evidence, EvidenceMap, Grounding, Verdict, support

AMOUNT = Grounding("amount", Verdict.EXACT, 3, 8, 100)
FIRST = Grounding("parties[0]", Verdict.NORMALISED, 40, 48, 100)
SECOND = Grounding("parties[1]", Verdict.FUZZY, 10, 22, 93)
EVIDENCE = EvidenceMap([AMOUNT, FIRST, SECOND])


@pytest.mark.parametrize(
    ("verdict", "found"),
    [
        (Verdict.EXACT, True),
        (Verdict.NORMALISED, True),
        (Verdict.FUZZY, True),
        (Verdict.AMBIGUOUS, True),
        (Verdict.NOT_FOUND, False),
        (Verdict.CONTRADICTED, False),
        (Verdict.ABSENT, False),
    ],
)
def test_only_a_supported_value_is_found(verdict: Verdict, *, found: bool) -> None:
    assert Grounding("amount", verdict).found is found


def test_a_field_is_read_by_its_name_and_a_value_by_its_path() -> None:
    assert EVIDENCE.amount.found
    assert EVIDENCE["parties[1]"] == SECOND
    assert list(EVIDENCE) == ["amount", "parties[0]", "parties[1]"]
    assert len(EVIDENCE) == 3


def test_a_list_is_worth_its_worst_value() -> None:
    assert EVIDENCE.parties == Grounding("parties", Verdict.FUZZY, 10, 48, 93)

    lost = EvidenceMap([FIRST, Grounding("parties[1]", Verdict.CONTRADICTED, 1, 2, 100)])

    assert not lost.parties.found


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(AttributeError, match=r"'total' has no evidence.*: amount, parties"):
        _ = EVIDENCE.total
    with pytest.raises(AttributeError, match="none"):
        _ = EvidenceMap().total
    with pytest.raises(KeyError):
        _ = EVIDENCE["parties[2]"]


@pytest.mark.parametrize("name", ["items", "keys", "values", "get"])
def test_a_field_may_have_the_name_of_a_method_of_mappings(name: str) -> None:
    evidence = EvidenceMap([Grounding(name, Verdict.EXACT)])

    assert getattr(evidence, name).found


def test_evidence_survives_being_copied_and_pickled() -> None:
    assert copy.deepcopy(EVIDENCE) == EVIDENCE
    assert pickle.loads(pickle.dumps(EVIDENCE)) == EVIDENCE  # noqa: S301 - our own bytes
    assert hash(copy.copy(EVIDENCE)) == hash(EVIDENCE)
    assert EvidenceMap([AMOUNT]) != EVIDENCE


def test_a_mark_with_words_can_stand_in_a_union() -> None:
    assert len({Evidence(words={"a": ("b",)}), Evidence(words={"a": ("b",)})}) == 1


@pytest.mark.parametrize(
    ("groundings", "attempts", "score"),
    [
        ((), 1, 100),
        ((Grounding("amount", Verdict.ABSENT),), 1, 100),
        ((AMOUNT, SECOND), 1, 93),
        ((AMOUNT, SECOND), 3, 92.98),
        ((AMOUNT, Grounding("city", Verdict.CONTRADICTED, 1, 2, 100)), 1, 0),
        ((AMOUNT,), 5_000, 99.01),
    ],
)
def test_an_answer_is_supported_as_well_as_its_worst_value(
    groundings: tuple[Grounding, ...], attempts: int, score: float
) -> None:
    assert support(groundings, attempts=attempts) == pytest.approx(score)
