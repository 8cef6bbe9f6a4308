"""What an evaluation counts as a model's answer."""

from consumers.commands.rehearsal import Rehearsed
from consumers.commands.scoring import case_score
from pipeline.cases import Case
from pipeline.record import decided, degraded
from schemas import accept
from schemas.changeset import Changeset
from tests.builders import NOW, SCRIBE, Facts, answer_of, attempt, claimed, entry, received

FACTS = Facts.model_validate({"city": "Oban", "amount": "12.50"})
CASE = Case("one", {"text": "12.50 for the ferry to Oban"}, {"city": "Oban", "amount": "12.50"})


def ended(changeset: Changeset, failure: str | None) -> Rehearsed:
    return Rehearsed(received(), (attempt(failure),), changeset)


def test_an_answer_by_the_workflows_own_rules_is_no_models() -> None:
    by_model = decided(claimed(), entry(), accept(), answer_of(FACTS), now=NOW, scribe=SCRIBE)
    by_rules = degraded(claimed(), entry(), FACTS, (), reason="truncated", now=NOW, scribe=SCRIBE)

    assert case_score(entry(), CASE, ended(by_model, None)).is_all_exact
    assert not case_score(entry(), CASE, ended(by_rules, "truncated")).answered
