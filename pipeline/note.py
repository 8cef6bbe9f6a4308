"""A text and a key in, a signed note out, and back: the C2SP signed-note format (c2sp.org/signed-note).

Only Ed25519 signatures. Signing and checking are functions that the caller brings: this module does
not know a secret, and knows no cryptography but the hash in a key's id.
"""

import base64
import binascii
import contextlib
import hashlib
import itertools
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from schemas.text import clean

_ED25519: Final = b"\x01"
_KEY_BYTES: Final = 32
_SIGNATURE_BYTES: Final = 64
_DASH: Final = "\u2014 "
_NAME: Final = re.compile(r"[^\s+]+")
_CONTROL: Final = re.compile(r"[\x00-\x09\x0b-\x1f]")

#: A text's bytes in, their Ed25519 signature out.
Sign = Callable[[bytes], bytes]
#: A public key, a signature, a text's bytes in; does the one sign the other?
Check = Callable[[bytes, bytes, bytes], bool]


class InvalidNote(ValueError):
    """This is no signed note, or no key of one."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A verifier key: written `name+id+base64`."""

    name: str
    public: bytes

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name) or len(self.public) != _KEY_BYTES:
            raise InvalidNote("a key has a name without spaces and plus signs, and 32 bytes")

    @property
    def id(self) -> bytes:
        return hashlib.sha256(self.name.encode() + b"\n" + _ED25519 + self.public).digest()[:4]

    @property
    def label(self) -> str:
        """Name and id: what a signature says of its key."""
        return f"{self.name}+{self.id.hex()}"

    def __str__(self) -> str:
        return f"{self.label}+{base64.b64encode(_ED25519 + self.public).decode()}"

    @classmethod
    def parse(cls, text: str) -> "PublicKey":
        """Read `name+id+base64`; raises InvalidNote, also when the id is not the key's own."""
        name, _, rest = text.partition("+")
        encoded = rest.partition("+")[2]
        tagged = _decoded(encoded)
        key = cls(name, tagged[1:])
        if str(key) != text:
            raise InvalidNote(f"{clean(text, max_length=200)!r} is no Ed25519 verifier key")
        return key


@dataclass(frozen=True, slots=True)
class Signature:
    """One line below a note's text."""

    name: str
    key_id: bytes
    signature: bytes

    @property
    def label(self) -> str:
        return f"{self.name}+{self.key_id.hex()}"

    @property
    def line(self) -> str:
        return f"{_DASH}{self.name} {base64.b64encode(self.key_id + self.signature).decode()}\n"


@dataclass(frozen=True, slots=True)
class Note:
    """A text that ends in a newline, and who signed it."""

    text: str
    signatures: tuple[Signature, ...]

    def __str__(self) -> str:
        return self.text + "\n" + "".join(signature.line for signature in self.signatures)


def signed(text: str, key: PublicKey, sign: Sign) -> Note:
    """The text with the signature of `key`; `sign` has its private half."""
    return Note(text, (Signature(key.name, key.id, sign(text.encode())),))


def parse(written: str) -> Note:
    """Read a note; raises InvalidNote. What it says counts for nothing before `signer` was found."""
    text, gap, lines = written.rpartition("\n\n")
    if not gap or not text or not lines.endswith("\n") or _CONTROL.search(written):
        raise InvalidNote("a note is a text, an empty line, and signatures")
    return Note(text + "\n", tuple(_signature(line) for line in lines[:-1].split("\n")))


def signer(note: Note, keys: Iterable[PublicKey], check: Check) -> PublicKey | None:
    """The first of these keys that signed the note; None also when the signature of one is wrong."""
    by_label = {key.label: key for key in keys}
    found = [(by_label[one.label], one) for one in note.signatures if one.label in by_label]
    if not found:
        return None
    text = note.text.encode()
    right = all(
        len(one.signature) == _SIGNATURE_BYTES and check(key.public, one.signature, text)
        for key, one in found
    )
    return found[0][0] if right else None


def each(written: str) -> Iterator[Note]:
    """The notes of a file to which notes without empty lines were appended; torn ones are passed over."""
    for text, signatures in itertools.pairwise(re.split(r"\n{2,}", written.strip("\n"))):
        if signatures.startswith(_DASH):
            with contextlib.suppress(InvalidNote):
                yield parse(f"{text}\n\n{signatures}\n")


def _signature(line: str) -> Signature:
    name, _, encoded = line.removeprefix(_DASH).partition(" ")
    blob = _decoded(encoded)
    if not line.startswith(_DASH) or not _NAME.fullmatch(name) or len(blob) <= 4:
        raise InvalidNote(f"{clean(line, max_length=200)!r} is no signature line")
    return Signature(name, blob[:4], blob[4:])


def _decoded(encoded: str) -> bytes:
    """Base64 in its one canonical spelling."""
    try:
        blob = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidNote("this is no base64") from error
    if base64.b64encode(blob).decode() != encoded:
        raise InvalidNote("this base64 is not in its canonical form")
    return blob
