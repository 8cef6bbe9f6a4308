"""Leaf hashes in, roots and proofs out: the Merkle tree of RFC 6962 (RFC 9162 has its checks as code).

The leaf hash itself is `pipeline.audit.leaf`. A `Frontier` is what is needed to go on: one hash per
full subtree at the tree's right edge, so that appending to a million leaves costs no more than to ten.
"""

import functools
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

HASH_BYTES: Final = 32
#: The root of no leaves (RFC 6962 section 2.1).
EMPTY_ROOT: Final = hashlib.sha256(b"").digest()


def node(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node: SHA-256(0x01 || left || right)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


@dataclass(frozen=True, slots=True)
class Frontier:
    """The right edge of a tree of `size` leaves: the roots of its full subtrees, the largest first."""

    size: int = 0
    hashes: tuple[bytes, ...] = ()

    @classmethod
    def unpacked(cls, size: int, packed: bytes) -> "Frontier":
        """The frontier whose hashes were joined; raises ValueError when they do not fit the size."""
        if size < 0 or len(packed) != size.bit_count() * HASH_BYTES:
            raise ValueError(f"{len(packed)} bytes are no frontier of a tree of {size} leaves")
        starts = range(0, len(packed), HASH_BYTES)
        return cls(size, tuple(packed[start : start + HASH_BYTES] for start in starts))

    def at(self, level: int) -> list[bytes]:
        """The root of its subtree of 2 ** level leaves, if it has one of them."""
        if not self.size >> level & 1:
            return []
        larger = (self.size >> level + 1).bit_count()
        return [self.hashes[larger]]

    @property
    def packed(self) -> bytes:
        return b"".join(self.hashes)

    @property
    def root(self) -> bytes:
        """The tree head."""
        if not self.hashes:
            return EMPTY_ROOT
        return functools.reduce(lambda right, left: node(left, right), reversed(self.hashes))

    def extended(self, leaves: Iterable[bytes]) -> "Frontier":
        """The frontier after these leaf hashes are appended."""
        size, hashes = self.size, list(self.hashes)
        for hash_ in leaves:
            full = size
            while full & 1:  # as in binary counting: two subtrees of one size become one
                hash_ = node(hashes.pop(), hash_)
                full >>= 1
            hashes.append(hash_)
            size += 1
        return Frontier(size, tuple(hashes))


EMPTY: Final = Frontier()


def root(leaves: Iterable[bytes]) -> bytes:
    """The tree head of these leaf hashes."""
    return Frontier().extended(leaves).root


class Tree:
    """A tree whose leaves are at hand, from `before` on at least: made once, it proves many."""

    def __init__(self, leaves: Sequence[bytes], before: Frontier = EMPTY) -> None:
        self.first = before.size
        self.size = before.size + len(leaves)
        #: The roots of the full subtrees of 1, 2, 4, ... leaves that are known. What a path needs of the
        #: leaves before the first one are the frontier's subtrees: each stands left of its level's others.
        self._levels = [[*before.at(0), *leaves]]
        while self.size >> len(self._levels):
            below, height = self._levels[-1], len(self._levels)
            pairs = range(0, len(below) - 1, 2)
            own = [node(below[left], below[left + 1]) for left in pairs]
            self._levels.append([*before.at(height), *own])

    def inclusion(self, index: int, size: int | None = None) -> list[bytes]:
        """PATH of RFC 6962 section 2.1.1: what leads from leaf `index` to the root.

        With a `size`, to the root that the tree had when it had so many leaves.
        """
        size = self.size if size is None else size
        if not self.first <= index < size <= self.size:
            raise ValueError(f"there is no leaf {index} in a tree of {size}")
        return self._path(index, 0, size)

    def consistency(self, size: int) -> list[bytes]:
        """PROOF of RFC 6962 section 2.1.2: that the first `size` leaves are still what they were."""
        if not max(1, self.first) <= size <= self.size:
            raise ValueError(f"a tree of {self.size} leaves proves nothing about one of {size}")
        return self._grown(size, 0, self.size, is_known=True)

    def _path(self, index: int, first: int, end: int) -> list[bytes]:
        if end - first == 1:
            return []
        middle = first + _split(end - first)
        if index < middle:
            return [*self._path(index, first, middle), self._hash(middle, end)]
        return [*self._path(index, middle, end), self._hash(first, middle)]

    def _grown(self, size: int, first: int, end: int, *, is_known: bool) -> list[bytes]:
        if size == end:
            return [] if is_known else [self._hash(first, end)]
        middle = first + _split(end - first)
        if size <= middle:
            return [*self._grown(size, first, middle, is_known=is_known), self._hash(middle, end)]
        return [*self._grown(size, middle, end, is_known=False), self._hash(first, middle)]

    def _hash(self, first: int, end: int) -> bytes:
        """The root of the leaves from `first` to before `end`, a subtree of this tree."""
        width = end - first
        if width & (width - 1) == 0:
            level = width.bit_length() - 1
            begins = (self.first >> level) & ~1  # at the frontier's subtree, where it has one of this level
            return self._levels[level][(first >> level) - begins]
        middle = first + _split(width)
        return node(self._hash(first, middle), self._hash(middle, end))


def is_included(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Does the proof lead from the leaf hash at `index` to the root of `size` leaves? RFC 9162 2.1.3.2."""
    if not 0 <= index < size or not _are_hashes([leaf, root, *proof]):
        return False
    turns = _turns(index, size - 1)
    if len(turns) != len(proof):
        return False
    found = leaf
    for step, is_left in zip(proof, turns, strict=True):
        found = node(step, found) if is_left else node(found, step)
    return found == root


def is_consistent(old_size: int, old_root: bytes, size: int, root: bytes, proof: Sequence[bytes]) -> bool:
    """Does the proof show that the tree of `size` leaves begins with the old one? RFC 9162 2.1.4.2."""
    if not 0 < old_size <= size or not _are_hashes([old_root, root, *proof]):
        return False
    if old_size == size:
        return not proof and old_root == root
    place, last = old_size - 1, size - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    turns = _turns(place, last)
    # A full subtree is no part of its own proof.
    steps = [old_root, *proof] if old_size & (old_size - 1) == 0 else list(proof)
    if len(turns) + 1 != len(steps):
        return False
    before = after = steps[0]
    for step, is_left in zip(steps[1:], turns, strict=True):
        before = node(step, before) if is_left else before
        after = node(step, after) if is_left else node(after, step)
    return before == old_root and after == root


def _turns(place: int, last: int) -> list[bool]:
    """Does the sibling stand on the left? For each level where there is one, up to the root."""
    turns = []
    while last:
        is_left = bool(place & 1) or place == last
        turns.append(is_left)
        while is_left and place and not place & 1:  # the right edge has no sibling at these levels
            place, last = place >> 1, last >> 1
        place, last = place >> 1, last >> 1
    return turns


def _split(width: int) -> int:
    """The largest power of two smaller than `width`."""
    return 1 << ((width - 1).bit_length() - 1)


def _are_hashes(values: Sequence[bytes]) -> bool:
    return all(len(value) == HASH_BYTES for value in values)
