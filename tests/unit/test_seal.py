"""Seals: a chain of batches on one growing tree, each under a signature; and proofs that leave the house."""

import base64
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.signing import check, new_key, read_key
from pipeline import checkpoint, note
from pipeline.audit import leaf
from pipeline.checkpoint import NOTHING_BEFORE
from pipeline.merkle import Frontier, Tree, is_included, root
from pipeline.seal import Seal, proof, seal

NOW = datetime(2026, 11, 21, 10, 30, tzinfo=UTC)
SIGNER = read_key(new_key("example.com/log"))


def sealed(*sizes: int) -> tuple[list[bytes], list[Seal]]:
    """Leaves in batches of these sizes, and their seals."""
    leaves: list[bytes] = []
    seals: list[Seal] = []
    for size in sizes:
        batch = [leaf(b"%d" % number) for number in range(len(leaves), len(leaves) + size)]
        leaves += batch
        seals.append(seal(seals[-1] if seals else None, batch, sealed_at=NOW, signer=SIGNER))
    return leaves, seals


@given(st.lists(st.integers(1, 9), min_size=1, max_size=9))
def test_each_seal_signs_the_whole_tree_and_names_the_one_before(sizes: list[int]) -> None:
    leaves, seals = sealed(*sizes)

    link = NOTHING_BEFORE
    for number, one in enumerate(seals, 1):
        read = note.parse(one.note)
        state = checkpoint.parse(read.text)
        assert note.signer(read, [SIGNER.key], check) == SIGNER.key
        assert (one.batch, one.first, one.size) == (number, sum(sizes[: number - 1]), sum(sizes[:number]))
        assert one.root == root(leaves[: one.size]) == Frontier.unpacked(one.size, one.frontier).root
        assert (state.batch, state.size, state.root, state.sealed_at) == (number, one.size, one.root, NOW)
        assert one.link == state.previous == link
        assert one.key == SIGNER.key.label
        link = state.link


def test_a_seal_on_a_frontier_that_does_not_fit_is_refused() -> None:
    _, (one,) = sealed(3)
    torn = Seal(**{**{name: getattr(one, name) for name in Seal.__slots__}, "frontier": b""})

    with pytest.raises(ValueError, match="no frontier"):
        seal(torn, [leaf(b"4")], sealed_at=NOW, signer=SIGNER)


def test_a_proof_is_a_file_that_needs_nothing_but_a_key() -> None:
    leaves, seals = sealed(4, 3)
    canonical = b"5"

    written = proof(canonical, 5, Tree(leaves).inclusion(5), seals[-1].note)

    head, _, signed = written.partition("\n\n")
    kind, extra, index, *path = head.split("\n")
    state = checkpoint.parse(note.parse(signed).text)
    assert (kind, index) == ("c2sp.org/tlog-proof@v1", "index 5")
    steps = [base64.b64decode(step) for step in path]
    content = base64.b64decode(extra.removeprefix("extra "))
    assert content == canonical
    assert is_included(leaf(content), 5, state.size, steps, state.root)
