"""The table of phrasings by which a text tries to give a model orders: folded text in, names of signs out.

Folded means: lower case, no diacritics, single spaces (`pipeline.screen` does it). Every pattern is
tried only around its anchors, words that must stand near a match, and holds no unbounded repetition;
the cost is a few passes over the text whatever is in it. A list of phrasings is never complete, and a
paraphrase gets through: a sign is a reason to ask a person, its absence is no reason to trust.
"""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from operator import itemgetter
from typing import Final

#: How far from its anchor a match may reach.
_REACH: Final = 150

#: Up to five words between a verb and its object; `@` in a pattern.
_WORDS: Final = r"(?:[\w',-]{1,24} ){0,5}?"


@dataclass(frozen=True, slots=True)
class _Sign:
    name: str
    anchors: tuple[str, ...]
    pattern: re.Pattern[str]


def _sign(name: str, anchors: str, pattern: str) -> _Sign:
    return _Sign(name, tuple(anchors.split("|")), re.compile(pattern.replace("@", _WORDS)))


_SIGNS: Final = (
    # "Ignore previous instructions" and its family
    _sign("override",
          "ignore|disregard|forget|overrid|bypass|neglect|t follow|t obey|stop |pay no|aside|skip",
          r"\b(?:ignore|disregard|forget|override|bypass|neglect|(?:do not|don.?t|stop) (?:follow"
          r"|obey)(?:ing)?|pay no attention to|set aside|skip) @(?:instructions?|prompts?"
          r"|directives?|guidelines?|guidance|system message)\b"),
    _sign("override", "ignore|disregard|forget|overrid",
          r"\b(?:ignore|disregard|forget|override) @(?:your|previous|prior|earlier|all|these|the) "
          r"(?:\w{1,20} )?rules?\b"),
    _sign("override", "ignore|disregard|forget|skip",
          r"\b(?:ignore|disregard|forget|skip) (?:everything|anything|all|whatever|what|the (?:text"
          r"|task|content))(?: [\w']{1,20}){0,4}? (?:above|before|previously|earlier|told|said)\b"),
    _sign("override", "no longer|void|obsolete|cancelled|outdated",
          r"\b(?:prompts?|instructions?|rules?|guidelines?)(?: \w{1,20}){0,5} (?:no longer "
          r"(?:appl(?:y|ies)|hold|valid|count)|(?:are|is) (?:void|obsolete|cancelled|outdated))\b"),
    _sign("override", "instruction|prompt|task|directive",
          r"\b(?:new|real|actual|true) (?:system )?(?:instructions?|prompt|task|directives?) ?(?::"
          r"|follow)|\bimportant new instructions\b"),
    _sign("override", "override",
          r"\b(?:admin|system|developer|security|policy|triage) override\b|\boverride ?:"),
    _sign("override", "do not",
          r"\bdo not (?:summari[sz]e|extract|classify|analy[sz]e) (?:this|the|from)\b"),
    _sign("override", "from now on",
          r"\bfrom now on,? you (?:are|act|answer|respond|only|(?:will|must|shall) (?:only|always"
          r"|answer|respond))\b"),
    _sign("override", "ignorier|vergiss|vergessen|missacht|umgeh|nicht mehr|ungultig|aufgehoben",
          r"\b(?:ignorier\w{0,4}|vergiss|vergessen sie|missacht\w{0,3}|umgeh\w{0,3}) @(?:anweisung"
          r"|instruktion|regel|vorgabe|\w{0,8}prompt)\w{0,3}\b|\b(?:anweisungen|instruktionen|regeln"
          r"|vorgaben) (?:\w{1,20} ){0,3}?(?:gelten (?:\w{1,12} )?nicht mehr|sind (?:ungultig"
          r"|aufgehoben))"),
    _sign("override", "ignor|oubli|pas compte|ne suis pas|ne suivez pas",
          r"\b(?:ignore[rz]?|oublie[rz]?|ne (?:tiens|tenez|tenir) pas compte|ne (?:suis|suivez) "
          r"pas) @(?:instructions?|consignes?|regles?|directives?|prompt)\b"),
    _sign("override", "ignor|olvid|no siga|no haga",
          r"\b(?:ignor(?:a|e|ar|en)|olvid(?:a|e|ar|en)|no (?:sigas?|hagas? caso)) @(?:instrucciones"
          r"|reglas|indicaciones|directrices|prompt)\b"),
    _sign("override", "ignor|esquec|desconsider",
          r"\b(?:ignor(?:e|a|ar|em)|esquec(?:a|er|am)|desconsider(?:e|ar|em)) @(?:instrucoes|regras"
          r"|orientacoes|diretrizes|prompt)\b"),
    _sign("override", "ignor|dimentic|non seguire|trascura",
          r"\b(?:ignor(?:a|are|ate|i)|dimentic(?:a|are|ate|hi)|non seguire|trascura) @(?:istruzioni"
          r"|regole|indicazioni|direttive|prompt)\b"),
    _sign("override", "abaikan|lupakan|ketepikan|jangan",
          r"\b(?:abaikan|lupakan|ketepikan|jangan (?:ikut|patuhi)) @(?:arahan|peraturan|perintah"
          r"|panduan|prompt)\b"),
    # Somebody else to be
    _sign("role_change", "you are |you were|you play",
          r"\byou are (?:now|no longer|henceforth) (?:[\w']{1,20} ){0,4}?(?:assistant|bot|model|ai"
          r"|\w{0,12}gpt|dan|agent|mode|unrestricted|unfiltered|developer)\b|\b(?:pretend|imagine"
          r"|suppose|let us say|let's say)(?: that)? you (?:are|were)\b|\byou (?:are|play|were) an? "
          r"(?:\w{1,20} ){1,6}?who (?:must|has to|always|will|never)\b|\bin this (?:story|game"
          r"|scenario|simulation),? you (?:play|are|must|will)\b"),
    _sign("role_change", "role|play|mode|jailbreak|act as|pretend",
          r"\brole-? ?play ?[:,]|\b(?:let us|let's) play a game\b|\bjailbr(?:eak|oken)\b|\b(?:dan"
          r"|developer|god|debug|unrestricted) mode (?:enabled|on|activated|and)\b|\benter (?:dan"
          r"|developer|god|debug|maintenance) mode\b|\bpretend to be\b|\bact as (?:my|if you|though "
          r"you|an? (?:unrestricted|unfiltered|ai|llm|language model|bot))\b"),
    _sign("role_change", "restriction|unfiltered|no rules|without rules",
          r"\b(?:assistant|model|ai|bot|\w{0,12}gpt) (?:without|with no) (?:any )?(?:restrictions?"
          r"|rules|limits|filters)|\bunfiltered (?:model|ai|assistant)\b|\b(?:dan|it|ai|assistant) "
          r"has no (?:rules|restrictions)\b"),
    _sign("role_change", "du bist |sie sind ",
          r"\b(?:du bist|sie sind) (?:jetzt|nun|ab sofort) (?:\w{1,20} ){0,4}?(?:assistent|bot|ki"
          r"|modell|system)\b"),
    _sign("role_change", "tu es |vous etes ",
          r"\b(?:tu es|vous etes) (?:maintenant|desormais) (?:\w{1,20} ){0,3}?(?:assistante?|bot|ia"
          r"|modele)\b"),
    _sign("role_change", "eres|voce|tu es agora",
          r"\b(?:ahora eres|eres ahora|agora voce e|voce agora e|tu es agora) (?:\w{1,20} "
          r"){0,3}?(?:asistente|assistente|bot|ia|modelo)\b"),
    _sign("role_change", " sei un",
          r"\b(?:ora|adesso|da ora in poi) sei una? (?:\w{1,20} ){0,3}?(?:assistente|bot|ia"
          r"|modello)\b"),
    _sign("role_change", "kini|sekarang",
          r"\b(?:anda|kamu|awak) (?:kini|sekarang) (?:ialah|adalah|menjadi) (?:\w{1,20} "
          r"){0,3}?(?:bot|pembantu|ai|model)\b"),
    # A word to the machine
    _sign("addresses_model", "if you are",
          r"\bif you are (?:an? )?(?:ai|llm|language model|bot|automated|large language)\b"),
    _sign("addresses_model", "ai|llm|language model| model|automated|ocr|software|parser|bot",
          r"\b(?:note|attention|message|instructions?|hint|footnote|task|memo|reminder)\b[ "
          r":,-]{0,3}(?:to|for)? ?(?:the |any |all |your )?(?:\w{1,12} )?(?:ai|llm|language models?"
          r"|automated (?:systems?|readers?|tools?)|bot|model|ocr(?: pipelines?)?|accounting "
          r"software|parsers?)\b|\b(?:dear|hello|hey) (?:ai|llm|language model)\b|\bto the (?:ai|llm"
          r"|language model|model) (?:that|which|reading)\b|\bfor document ai\b|\b(?:ai|llm"
          r"|language model) (?:reading|processing|parsing) this\b"),
    _sign("addresses_model", "automated|tools|any ai",
          r"\b(?:automated reviewers?|analysis tools|extraction (?:tools?|models?)|ai (?:tools?"
          r"|readers?|reviewers?))\b (?:\w{1,12} )?(?:must|shall|should|is to|are to|has to|have "
          r"to)\b"),
    _sign("addresses_model", "ki|kis|sprachmodell|ia|ai",
          r"\b(?:hinweis|nachricht|anweisung) an (?:die|alle|jede) (?:ki|kis|sprachmodelle?)\b"
          r"|\bnote (?:a|pour) l'ia\b|\bnota para (?:la|a) ia\b|\bnota per l'(?:ia|ai)\b|\bnota "
          r"kepada ai\b"),
    _sign("concealment", "mention|do not tell|don't tell",
          r"\b(?:do not|don't|never) (?:mention|reveal|report|repeat) (?:this|these|the) (?:line"
          r"|lines|instruction|instructions|message|note|sentence)\b|\b(?:do not|don't) tell the "
          r"(?:user|operator|reviewer|human)\b"),
    # What is not theirs to see, and ways out
    _sign("prompt_request", "system prompt|system-prompt|systemprompt|arahan sistem",
          r"\b(?:your|(?:reveal|repeat|print|show|disclose|output|quote|append|include|recite|copy"
          r"|encode|translate|write|put|send|summari[sz]e)(?: \w{1,20}){0,3}? (?:the|this)) system "
          r"prompt\b|\b(?:den|deinen?|ihren?) system-?prompt\b|[<{(\[] ?(?:your |the )?system prompt"),
    _sign("prompt_request", "instruction",
          r"\b(?:reveal|repeat|print|disclose|output|quote|append|recite|encode|dump|leak"
          r"|spell)\b(?: [\w',-]{1,20}){0,8}? (?:your|these) (?:\w{1,20} )?instructions?\b"
          r"|\b(?:instructions? (?:above|you were given)|your (?:initial|hidden|original|secret) "
          r"instructions?)\b|\b(?:secret|confidential|hidden) (?:word|code|phrase)(?: "
          r"\w{1,20}){0,2} (?:your|these) instructions?\b"),
    _sign("prompt_request", "your prompt|your instruction",
          r"\b(?:reveal|show|print|repeat|output|tell me|disclose) (?:me )?your (?:\w{1,20} )?prompt\b"
          r"|\bwhat (?:are|were) your (?:\w{1,20} )?instructions\b"),
    _sign("tool_request", " tool",
          r"\b(?:call|invoke|use) (?:the|your) (?:\w{1,20} )?tool \w{1,30}_\w|\byour (?:browser"
          r"|search|web|code|shell|python) tool\b"),
    _sign("tool_request", "tool_call|function_call",
          r"\\?[\x22'](?:tool_calls?|function_call)\\?[\x22']"),
    _sign("exfiltration", "http",
          r"\b(?:send|post|forward|upload|submit) (?:\w{1,20} ){0,6}?to https?://"
          r"|https?://[^\s\x22]{0,200}(?:[<{\[]|[?&=](?:api_?key|secret|system_?prompt))"),
    _sign("markdown", "](",
          r"!\[[^\]]{0,100}\]\(|\]\( ?(?:javascript|data|vbscript):"),
    _sign("markdown", "[//]",
          r"\[//\]: ?#"),
    _sign("html", "<script|<iframe|<object|<embed|svg|javascript:",
          r"<(?:script|iframe|object|embed|svg)\b|javascript:"),
    _sign("html", "onerror|onload|onclick|onmouseover",
          r"<[^>]{0,200}\bon(?:error|load|click|mouseover) ?="),
    _sign("html", "hidden|display|font-size|visibility",
          r"<\w{1,10}[^>]{0,200} hidden\b|display ?: ?none|visibility ?: ?hidden|font-size ?: "
          r"?0(?![.\d])"),
    # Another voice, another document
    _sign("chat_template", "<",
          r"<\|[a-z_]{2,30}\|>"),
    _sign("chat_template", "inst]|sys>>|role",
          r"\[/?inst\]|<</?sys>>|\\?[\x22']role\\?[\x22'] ?: ?\\?[\x22'](?:system|assistant|developer"
          r"|tool)"),
    _sign("chat_template", "system|assistant|instruction|user_data|untrusted",
          r"</?(?:system|assistant|instructions?|system_prompt|user_data|untrusted\w{0,12})>"
          r"|\[system\]|#{2,3} ?(?:instruction|system|assistant)s? ?:|```(?:system|assistant"
          r"|instruction)"),
    _sign("role_marker", "system|assistant|developer|admin",
          r"\b(?:system|assistant|developer|admin(?:istrator)?)(?: (?:message|prompt|note))? ?: "
          r"?(?:\{|you (?:are|must)\b|(?:please )?(?:set|ignore|disregard|record|report|output|mark"
          r"|respond|answer|reply)\b)"),
    _sign("role_marker", "system message from|system note|message from the admin",
          r"\bsystem (?:message|note) from the (?:admin|developer|operator)|# ?system note\b"),
    _sign("forged_boundary", "end of|<<|instructions",
          r"<{2,3} ?(?:end of )?document\b|\b(?:begin|end) (?:system )?instructions\b|\bend of "
          r"(?:the )?(?:document|data|text|input|user input|user data|prompt|(?:contract|e-?mail) "
          r"text)\b\W{0,80}(?:the document is over|now|task|begin|real|instructions?|set|put|write"
          r"|record|answer|reply|report|output|respond|system|assistant|ignore)\b"),
    _sign("forged_boundary", "#end#|# end #|</document|is over",
          r"#{2} ?end ?#{2}|</document> ?<|\bthe document is over\b"),
)  # fmt: skip

#: So much of a word's beginning tells whether an anchor may be there: most of them are looked up at once.
_START_LENGTH: Final = 4
#: Anchors that a pattern takes in the midst of a word, too.
_INSIDE: Final = frozenset({"http", "display", "visibility", "javascript:"})
_START_OF: Final = itemgetter(slice(_START_LENGTH))
_WORD: Final = re.compile(r"\w+")
#: For bytes, of which a table translates four times as many as of a text's characters.
_BLANKED: Final = bytes(sign if sign < 128 and _WORD.match(chr(sign)) else 32 for sign in range(256))


def _start(anchor: str) -> str | None:
    """The start of a word that a text with `anchor` must hold; None where no word of it is sure.

    An anchor of up to three letters is a whole word.
    """
    for word in reversed(list(_WORD.finditer(anchor))):
        start = word[0][:_START_LENGTH]
        is_whole = word.end() < len(anchor) or start == anchor
        if anchor not in _INSIDE and (is_whole or len(start) == _START_LENGTH):
            return start
    return None


_ANCHORS: Final = sorted({anchor for sign in _SIGNS for anchor in sign.anchors})
_BY_START: Final = {
    start: tuple(anchor for anchor in _ANCHORS if _start(anchor) == start) for start in map(_start, _ANCHORS)
}
_STARTS: Final = frozenset(start for start in _BY_START if start)

_OBJECT: Final = re.compile(r"\{ ?\\?\"(\$?\w{1,40})\\?\" ?:")
_SAY: Final = re.compile(
    r"\b(?:answer|output|return|respond|reply|give|say|write|print|assistant|jawab|antworte|reponds|repondez"
    r"|responde|responda|rispondi)\b[^{}]{0,40}$"
)
_QUOTATION_MARKS: Final = "\"“„«`'"
#: What follows a field's name when the text gives it a value: a connective, then a value in marks or digits.
_GIVEN: Final = re.compile(
    r"\\?[\"”“»`']?(?: ?(?:=|:=|:|->) ?| (?:to|as|is|must be|shall be|should be|be|set to|with|auf|als|a|en"
    r"|como|comme|come|su|kepada|sebagai|ialah) )\\?[\"“„«`'\[{<\d-]"
)
_EQUATED: Final = re.compile(r" ?= ?\\?[\"“`\d]")


def phrases(folded: str, *, fields: Collection[str] = ()) -> Iterator[str]:
    """The name of each sign that the text shows; a name may come more than once.

    `fields` are the names in the workflow's answer: a text that assigns to them knows too much.
    """
    places = {anchor: list(_positions(folded, anchor)) for anchor in _present(folded)}
    for sign in _SIGNS:
        if places.keys().isdisjoint(sign.anchors):
            continue
        spans = _around(sorted(place for anchor in sign.anchors for place in places.get(anchor, ())))
        if any(sign.pattern.search(folded, start, end) for start, end in spans):
            yield sign.name
    if _dictates(folded, fields):
        yield "dictated_answer"


def _present(folded: str) -> Iterator[str]:
    """The anchors that the text holds: one pass over its words instead of one for each anchor."""
    if folded.isascii():
        words = folded.encode().translate(_BLANKED).decode().split()
    else:
        words = _WORD.findall(folded)
    for start in (None, *_STARTS.intersection(map(_START_OF, words))):
        yield from (anchor for anchor in _BY_START[start] if anchor in folded)


def _around(positions: list[int]) -> Iterator[tuple[int, int]]:
    """The stretches within reach of the positions, which are in order; merged where they overlap."""
    start = end = -1
    for position in positions:
        if position - _REACH > end:
            if end >= 0:
                yield start, end
            start = max(0, position - _REACH)
        end = position + _REACH
    if end >= 0:
        yield start, end


def _positions(text: str, anchor: str) -> Iterator[int]:
    position = text.find(anchor)
    while position >= 0:
        yield position
        position = text.find(anchor, position + len(anchor))


def _dictates(folded: str, fields: Collection[str]) -> bool:
    """Does the text hand over an answer: a JSON object for us, or one of our fields with its value?"""
    for match in _OBJECT.finditer(folded):
        if match[1] in fields or _SAY.search(folded, max(0, match.start() - 60), match.start()):
            return True
    return any(
        _assigned(folded, position, field)
        for field in map(str.casefold, fields)
        for position in _positions(folded, field)
    )


def _assigned(folded: str, position: int, field: str) -> bool:
    """`"total" to "9.99"`; without quotation marks only for a name that no document would write."""
    before, end = folded[max(0, position - 1) : position], position + len(field)
    if before.isalnum():
        return False
    marked = before != "" and before in _QUOTATION_MARKS
    return bool(((marked or "_" in field) and _GIVEN.match(folded, end)) or _EQUATED.match(folded, end))
