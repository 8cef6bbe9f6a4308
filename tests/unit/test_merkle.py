"""The Merkle tree: the vectors of Certificate Transparency's own tests, and what holds for every tree."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.audit import leaf
from pipeline.merkle import EMPTY_ROOT, Frontier, Tree, is_consistent, is_included, node, root

#: Entries, roots of 1 to 8 of them, and proofs: github.com/transparency-dev/merkle, proof/verify_test.go.
ENTRIES = ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
ROOTS = (
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)
A = "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"
B = "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"
C = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"
D = "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"
E = "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"
F = "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a"
G = "b08693ec2e721597130641e8211e7eedccb4c26413963eee6c1e2ed16ffb1a5f"
LEAVES = [leaf(bytes.fromhex(entry)) for entry in ENTRIES]

trees = st.integers(1, 70).map(lambda size: [leaf(b"%d" % number) for number in range(size)])


def raw(*hashes: str) -> list[bytes]:
    return [bytes.fromhex(hash_) for hash_ in hashes]


@pytest.mark.parametrize("size", range(1, 9))
def test_roots_are_those_of_certificate_transparency(size: int) -> None:
    assert root(LEAVES[:size]).hex() == ROOTS[size - 1]


def test_no_leaves_have_the_hash_of_nothing() -> None:
    assert root([]) == EMPTY_ROOT
    assert EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.mark.parametrize(
    ("index", "size", "path"),
    [
        (0, 1, ()),
        (0, 8, (E, A, B)),
        (5, 8, (C, D, ROOTS[3])),
        (2, 3, (ROOTS[1],)),
        (1, 5, (ROOTS[0], A, C)),
    ],
)
def test_inclusion_proofs_are_those_of_certificate_transparency(
    index: int, size: int, path: Sequence[str]
) -> None:
    assert Tree(LEAVES[:size]).inclusion(index) == raw(*path)
    assert is_included(LEAVES[index], index, size, raw(*path), bytes.fromhex(ROOTS[size - 1]))


@pytest.mark.parametrize(
    ("old", "size", "path"),
    [
        (1, 1, ()),
        (1, 8, (E, A, B)),
        (6, 8, (F, D, ROOTS[3])),
        (2, 5, (A, C)),
        (6, 7, (F, G, ROOTS[3])),
    ],
)
def test_consistency_proofs_are_those_of_certificate_transparency(
    old: int, size: int, path: Sequence[str]
) -> None:
    old_root, new_root = raw(ROOTS[old - 1], ROOTS[size - 1])

    assert Tree(LEAVES[:size]).consistency(old) == raw(*path)
    assert is_consistent(old, old_root, size, new_root, raw(*path))


@given(trees, st.data())
def test_a_tree_grown_in_pieces_is_the_tree_made_at_once(leaves: list[bytes], data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(leaves)))

    first = Frontier().extended(leaves[:cut])
    grown = Frontier.unpacked(cut, first.packed).extended(leaves[cut:])

    assert grown == Frontier().extended(leaves)
    assert grown.root == by_definition(leaves)


def by_definition(leaves: Sequence[bytes]) -> bytes:
    """MTH of RFC 6962 section 2.1, word by word."""
    if len(leaves) == 1:
        return leaves[0]
    middle = 1
    while middle * 2 < len(leaves):
        middle *= 2
    return node(by_definition(leaves[:middle]), by_definition(leaves[middle:]))


@given(trees, st.data())
def test_every_leaf_is_proved_and_nothing_else(leaves: list[bytes], data: st.DataObject) -> None:
    size = len(leaves)
    index = data.draw(st.integers(0, size - 1))
    head = root(leaves)

    path = Tree(leaves).inclusion(index)

    assert is_included(leaves[index], index, size, path, head)
    others = [other for other in range(size) if other != index]
    assert not any(is_included(leaves[index], other, size, path, head) for other in others)
    assert not is_included(leaf(b"another"), index, size, path, head)
    assert not is_included(leaves[index], index, size, [*path, head], head)
    assert not is_included(leaves[index], index, size, path, leaf(b"another"))
    for wrong in mutations(path):
        assert not is_included(leaves[index], index, size, wrong, head)


@given(trees, st.data())
def test_every_shorter_tree_is_proved_and_no_other(leaves: list[bytes], data: st.DataObject) -> None:
    size = len(leaves)
    old = data.draw(st.integers(1, size))
    old_root, head = root(leaves[:old]), root(leaves)

    path = Tree(leaves).consistency(old)

    assert is_consistent(old, old_root, size, head, path)
    assert not is_consistent(old, leaf(b"another"), size, head, path)
    assert not is_consistent(old, old_root, size, leaf(b"another"), path)
    assert not is_consistent(old, old_root, size, head, [*path, head])
    for wrong in mutations(path):
        assert not is_consistent(old, old_root, size, head, wrong)


def mutations(path: Sequence[bytes]) -> list[list[bytes]]:
    """The proof with each step turned by a bit, without each, and with a broken one."""
    turned = [[*path[:at], bytes([step[0] ^ 8]) + step[1:], *path[at + 1 :]] for at, step in enumerate(path)]
    shorter = [[*path[:at], *path[at + 1 :]] for at in range(len(path))]
    return [*turned, *shorter, [*path, b""], [b"short", *path]]


@pytest.mark.parametrize(("index", "size"), [(-1, 3), (3, 3), (0, 0)])
def test_a_leaf_outside_the_tree_is_not_included(index: int, size: int) -> None:
    assert not is_included(LEAVES[0], index, size, [], LEAVES[0])


@pytest.mark.parametrize(("old", "size"), [(0, 3), (4, 3)])
def test_a_tree_that_is_not_shorter_is_not_consistent(old: int, size: int) -> None:
    assert not is_consistent(old, LEAVES[0], size, LEAVES[0], [])


def test_what_has_no_proof_is_refused() -> None:
    tree = Tree(LEAVES)

    for index in (-1, 8):
        with pytest.raises(ValueError, match="there is no leaf"):
            tree.inclusion(index)
    for size in (0, 9):
        with pytest.raises(ValueError, match="proves nothing"):
            tree.consistency(size)


@pytest.mark.parametrize(("size", "packed"), [(1, b""), (-1, b""), (3, bytes(32)), (0, bytes(32))])
def test_a_frontier_that_does_not_fit_its_size_is_refused(size: int, packed: bytes) -> None:
    with pytest.raises(ValueError, match="are no frontier"):
        Frontier.unpacked(size, packed)


@given(st.integers(1, 70).flatmap(lambda size: st.tuples(st.just(size), st.integers(0, size - 1))))
def test_a_tree_without_its_first_leaves_proves_the_others_alike(shape: tuple[int, int]) -> None:
    size, cut = shape
    leaves = [leaf(bytes([number])) for number in range(size)]
    whole, rest = Tree(leaves), Tree(leaves[cut:], Frontier().extended(leaves[:cut]))

    for index in range(cut, size):
        assert rest.inclusion(index) == whole.inclusion(index)
    for index in range(cut):
        with pytest.raises(ValueError, match="there is no leaf"):
            rest.inclusion(index)
