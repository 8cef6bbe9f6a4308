"""Find who and where in a text: names of companies and people, addresses, and what stands behind a label."""

import re
from typing import Final

from infra.simulator.labels import Label, stems
from infra.simulator.reading import Found, Text, sentences

_LEGAL: Final = (
    r"(?:Inc|Incorporated|LLC|L\.L\.C|Ltd|Limited|Corp|Corporation|Company|Co|GmbH|AG|KG|e\.K|S\.?A|SARL|SAS|B\.?V"
    r"|N\.?V|PLC|L\.?P|LLP|Sdn\.?\s?Bhd|S/B|Pty|Oy|A/S|SpA|S\.p\.A|S\.?r\.?l|S\.?L|Bank|Enterprise|Trading)\b\.?"
)
_LEGAL_NAME: Final = re.compile(rf"(?i:\b{_LEGAL})")
_WORD: Final = r"[A-Z0-9][\w.&'\u2019/-]*"
_NAME: Final = rf"{_WORD}(?:\s+(?:(?:of|&|the|de)\s+)?{_WORD})*(?:,?\s+(?i:{_LEGAL}))*"
_PARTY: Final = re.compile(
    rf"(?P<name>{_NAME})\s*(?=,\s*(?:an?|with|whose|having|located|the|and|\(|[\"“])\b|\(|[\"“]|\band\b|\bwith\b|;|\.\s|$)"
)
_BETWEEN: Final = re.compile(r"\b(?:between|among)\b[\s:]*(?:the\s+)?", re.IGNORECASE)
_CLAUSE_END: Final = re.compile(
    r"WHEREAS|RECITAL|NOW,|WITNESSETH|\n\s*1\.|\bIn consider|IN CONSIDER|\.\s+[A-Z][a-z]+ [a-z]"
)
_ROLES: Final = frozenset(
    stems("party parties state commonwealth company employee agreement delaware recipient discloser employer"
          " this the date day effective seller buyer exhibit each")
)  # fmt: skip
_THINGS: Final = frozenset(stems("product item model device machine article"))
_STREET: Final = re.compile(
    r"(?i)\b(?:street|st|road|rd|avenue|ave|lane|ln|drive|blvd|boulevard|way|square|court|suite|floor|lot|jalan|jln"
    r"|taman|rue|via|calle|plaza|place)\b|stra(?:ß|ss)e|str\.|weg\b|platz\b|gasse\b|laan\b"
)
_POSTCODE: Final = re.compile(
    r"\b\d{5,6}[,.]?(?=\s+[A-Z]|\s*$)|\b\d{4}(?=\s+[A-Z][a-z])|\b[A-Z]{1,2}\d[\dA-Z]?\s?\d[A-Z]{2}\b"
)
_NOT_ADDRESS: Final = re.compile(
    r"(?i)\b(?:tel|fax|phone|gst|vat|tax|ust|receipt|invoice|date|cashier|www|e-?mail|reg|no\s?:|total|table|qty|item)"
    r"\b|@|https?:|\d\d:\d\d|[.,]\d\d\s*$"
)
_BOILERPLATE: Final = re.compile(
    r"(?i)\b(?:invoice|receipt|welcome|thank|order|copy|bill|tel|date|dear|hello|hi|from|subject|page|quittung|rechnung"
    r"|ticket|your)\b"
)
_ASKING: Final = re.compile(
    r"(?i)\?|\b(?:please|could you|can you|i want|i would like|i'd like|need|kindly|bitte)\b"
)
_SIGNED: Final = re.compile(
    r"(?im)^.*\b(?:regards|sincerely|thanks|cheers|yours|grüße|wishes),?[ \t]*\n+[ \t]*(?P<name>[^\n]{2,60})"
)


def behind_label(text: Text, label: Label) -> Found | None:
    """What follows `Label:` on its line, where the label is at most four words, one of them asked for."""
    best: tuple[float, Found] | None = None
    for start, end in text.lines:
        left, _, rest = text.raw[start:end].partition(":")
        right = rest.strip().partition("  ")[0]
        if not right or len(left.split()) > 4 or re.search(r"\d", left):
            continue
        score = sum(label.weights.get(word, 0) for word in set(stems(left)))
        if score >= 3 and (best is None or score > best[0]):
            at = start + len(left) + 1 + rest.index(right)
            best = score, Found(right, at, at + len(right))
    return best[1] if best else None


def _clean_line(text: Text, start: int, end: int) -> Found:
    """A line's name without the registration number behind it."""
    line = re.split(r"\s{2,}|\s*\((?=[^)]{0,40}\d)|\s+\d[\d-]*-?[A-Z]?\s*$", text.raw[start:end].strip())[
        0
    ].strip()
    at = text.raw.index(line, start) if line else start
    return Found(line, at, at + len(line))


def company(text: Text, label: Label) -> Found | None:
    labelled = behind_label(text, label)
    if labelled:
        return labelled
    if parties(text):
        return parties(text)[0]
    head = [_clean_line(text, *span) for span in text.lines[:12]]
    names = [
        f for f in head if re.match(r"[A-ZÄÖÜ\d]", f.value) and len(re.findall(r"[^\W\d_]", f.value)) >= 4
    ]
    names = [f for f in names if not _BOILERPLATE.search(f.value) and len(f.value.split()) <= 8]
    legal = [found for found in names if _LEGAL_NAME.search(found.value)]
    return next(iter(legal or names), None)


def person(text: Text) -> Found | None:
    signed = list(_SIGNED.finditer(text.raw))
    if not signed:
        return None
    return Found(signed[-1]["name"].strip(), signed[-1].start("name"), signed[-1].end("name"))


def parties(text: Text) -> list[Found]:
    """The names in the first `between A and B` clause that has two of them."""
    single: list[Found] = []
    for opening in list(_BETWEEN.finditer(text.raw))[:12]:
        clause = text.raw[opening.end() : opening.end() + 1_500]
        ending = _CLAUSE_END.search(clause, 10)
        names: dict[str, Found] = {}
        for match in _PARTY.finditer(clause, 0, ending.start() if ending else len(clause)):
            before = clause[: match.start()].rstrip()
            value = match["name"].strip(" ,")
            listed = r"(?:\band(?:\s+the)?|\)\s*[,;]?|;)$" + ("|,$" if _LEGAL_NAME.search(value) else "")
            if before and not re.search(listed, before):
                continue
            if set(stems(value)) - _ROLES and not re.fullmatch(r"[\d.]+", value):
                at = opening.end() + match.start()
                names.setdefault(value.lower(), Found(value, at, at + len(value)))
        if len(names) >= 2:
            return list(names.values())[:6]
        single = single or list(names.values())
    return single


def address(text: Text, label: Label) -> Found | None:
    """Consecutive lines with a street and a postcode, from the first that looks like one."""
    labelled = behind_label(text, label)
    if labelled:
        return labelled
    for index, (start, end) in enumerate(text.lines[:25]):
        line = text.raw[start:end]
        if not _is_address(line) or not (
            _STREET.search(line) or re.match(r"\s*(?:no\b\.?\s?)?\d", line, re.IGNORECASE)
        ):
            continue
        last = index
        while last + 1 < min(len(text.lines), index + 6) and _goes_on(text, last):
            last += 1
        whole = text.raw[start : text.lines[last][1]]
        if last > index or (_STREET.search(whole) and re.search(r"\d", whole)):
            at = start + len(whole) - len(whole.lstrip())
            return Found(" ".join(whole.split()), at, text.lines[last][1])
    return None


def _is_address(line: str) -> bool:
    return (
        not _NOT_ADDRESS.search(line)
        and len(re.findall(r"[^\W\d_]", line)) >= 4
        and not line.strip().startswith("(")
    )


def _goes_on(text: Text, last: int) -> bool:
    lines = [text.raw[slice(*span)] for span in text.lines[last : last + 4]]
    if not _is_address(lines[1]):
        return False
    if lines[0].rstrip().endswith(","):
        return True
    return not _POSTCODE.search(lines[0]) and any(map(_POSTCODE.search, lines[1:]))


def passage(text: Text, label: Label) -> Found | None:
    """The sentence that asks, else the one with most of the label's words, else the first."""
    every = list(sentences(text))
    asking = [found for found in every if _ASKING.search(found.value)]
    if label.weights.keys() & {"ask", "request", "want", "question"} and asking:
        return asking[0]
    return max(every, key=lambda f: sum(label.weights.get(w, 0) for w in set(stems(f.value))), default=None)


def thing(text: Text, label: Label) -> Found | None:
    """A capitalised run of words beside a word of the label: `our Product X200`, `the X200 machine`."""
    labelled = behind_label(text, label)
    if labelled:
        return labelled
    words = label.weights
    for match in re.finditer(r"(?<![.!?\n] )(?<!^)\b(?:[A-Z][\w-]*)(?: (?:[A-Z][\w-]*|\d+))*", text.raw):
        before = stems(text.raw[max(0, match.start() - 30) : match.start()])[-2:]
        after = stems(text.raw[match.end() : match.end() + 30])[:2]
        mine = before[-1:] == ["my"] and words.keys() & _THINGS
        if len(match.group()) > 2 and (mine or any(words.get(word, 0) >= 1 for word in [*before, *after])):
            return Found(match.group(), *match.span())
    return None
