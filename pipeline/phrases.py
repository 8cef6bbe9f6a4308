"""The table of phrasings by which a text tries to give a model orders: folded text in, names of signs out.

Folded means: lower case, no diacritics, single spaces (`pipeline.screen` does it). Every pattern is
tried only around its anchors, words that must stand near a match, and holds no unbounded repetition;
the cost is a few passes over the text whatever is in it. A list of phrasings is never complete, and a
paraphrase gets through: a sign is a reason to ask a person, its absence is no reason to trust.
"""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Final

#: How far from its anchor a match may reach.
_REACH: Final = 160

#: Up to five words between a verb and its object.
_WORDS: Final = r"(?:[\w',-]{1,24} ){0,5}?"


@dataclass(frozen=True, slots=True)
class _Sign:
    name: str
    anchors: tuple[str, ...]
    pattern: re.Pattern[str]


def _sign(name: str, anchors: str, pattern: str) -> _Sign:
    return _Sign(name, tuple(anchors.split("|")), re.compile(pattern))


_SIGNS: Final = (
    # "Ignore previous instructions" and its family
    _sign("override", "instruction|prompt|directive|guideline|guidance|system message",
          r"\b(?:ignore|disregard|forget|override|bypass|neglect|(?:do not|don.?t|stop) (?:follow|obey)(?:ing)?"
          rf"|pay no attention to|set aside|skip) {_WORDS}"
          r"(?:instructions?|prompts?|directives?|guidelines?|guidance|system message)\b"),
    _sign("override", " rule", rf"\b(?:ignore|disregard|forget|override) {_WORDS}"
          r"(?:your|previous|prior|earlier|all|these|the) (?:\w{1,20} )?rules?\b"),
    _sign("override", "ignore|disregard|forget|skip",
          r"\b(?:ignore|disregard|forget|skip) (?:everything|anything|all|whatever|what|the (?:text|task|content))"
          r"(?: [\w']{1,20}){0,4}? (?:above|before|previously|earlier|told|said)\b"),
    _sign("override", "no longer|void|obsolete|cancelled|outdated",
          r"\b(?:prompts?|instructions?|rules?|guidelines?)(?: \w{1,20}){0,5} "
          r"(?:no longer (?:appl(?:y|ies)|hold|valid|count)|(?:are|is) (?:void|obsolete|cancelled|outdated))\b"),
    _sign("override", "instruction|prompt|task|directive",
          r"\b(?:new|real|actual|true) (?:system )?(?:instructions?|prompt|task|directives?) ?(?::|follow)"),
    _sign("override", "override", r"\b(?:admin|system|developer|security|policy|triage) override\b|\boverride ?:"),
    _sign("override", "do not", r"\bdo not (?:summari[sz]e|extract|classify|analy[sz]e) (?:this|the|from)\b"),
    _sign("override", "from now on",
          r"\bfrom now on,? you (?:are|act|answer|respond|only|(?:will|must|shall) (?:only|always|answer|respond))\b"),
    _sign("override", "anweisung|instruktion|regel|vorgabe|prompt",
          rf"\b(?:ignorier\w{{0,4}}|vergiss|vergessen sie|missacht\w{{0,3}}|umgeh\w{{0,3}}) {_WORDS}"
          r"(?:anweisung|instruktion|regel|vorgabe|\w{0,8}prompt)\w{0,3}\b"
          r"|\b(?:anweisungen|instruktionen|regeln|vorgaben) (?:\w{1,20} ){0,3}?"
          r"(?:gelten (?:\w{1,12} )?nicht mehr|sind (?:ungultig|aufgehoben))"),
    _sign("override", "instruction|consigne|regle|directive|prompt",
          rf"\b(?:ignore[rz]?|oublie[rz]?|ne (?:tiens|tenez|tenir) pas compte|ne (?:suis|suivez) pas) {_WORDS}"
          r"(?:instructions?|consignes?|regles?|directives?|prompt)\b"),
    _sign("override", "instruccion|regla|indicacion|directri|prompt",
          rf"\b(?:ignor(?:a|e|ar|en)|olvid(?:a|e|ar|en)|no (?:sigas?|hagas? caso)) {_WORDS}"
          r"(?:instrucciones|reglas|indicaciones|directrices|prompt)\b"),
    _sign("override", "instruc|regra|orientac|diretri|prompt",
          rf"\b(?:ignor(?:e|a|ar|em)|esquec(?:a|er|am)|desconsider(?:e|ar|em)) {_WORDS}"
          r"(?:instrucoes|regras|orientacoes|diretrizes|prompt)\b"),
    _sign("override", "istruzion|regole|indicazion|direttiv|prompt",
          rf"\b(?:ignor(?:a|are|ate|i)|dimentic(?:a|are|ate|hi)|non seguire|trascura) {_WORDS}"
          r"(?:istruzioni|regole|indicazioni|direttive|prompt)\b"),
    _sign("override", "arahan|peraturan|perintah|panduan|prompt",
          rf"\b(?:abaikan|lupakan|ketepikan|jangan (?:ikut|patuhi)) {_WORDS}"
          r"(?:arahan|peraturan|perintah|panduan|prompt)\b"),
    # Somebody else to be
    _sign("role_change", "you are |you were|you play",
          r"\byou are (?:now|no longer|henceforth) (?:[\w']{1,20} ){0,4}?"
          r"(?:assistant|bot|model|ai|\w{0,12}gpt|dan|agent|mode|unrestricted|unfiltered|developer)\b"
          r"|\b(?:pretend|imagine|suppose|let us say|let's say)(?: that)? you (?:are|were)\b"
          r"|\byou (?:are|play|were) an? (?:\w{1,20} ){1,6}?who (?:must|has to|always|will|never)\b"
          r"|\bin this (?:story|game|scenario|simulation),? you (?:play|are|must|will)\b"),
    _sign("role_change", "play|mode|jailbreak|act as|pretend",
          r"\brole-? ?play ?[:,]|\b(?:let us|let's) play a game\b|\bjailbr(?:eak|oken)\b"
          r"|\b(?:dan|developer|god|debug|unrestricted) mode (?:enabled|on|activated|and)\b"
          r"|\benter (?:dan|developer|god|debug|maintenance) mode\b|\bpretend to be\b"
          r"|\bact as (?:my|if you|though you|an? (?:unrestricted|unfiltered|ai|llm|language model|bot))\b"),
    _sign("role_change", "restriction|unfiltered|no rules|without rules",
          r"\b(?:assistant|model|ai|bot|\w{0,12}gpt) (?:without|with no) (?:any )?(?:restrictions?|rules|limits|filters)"
          r"|\bunfiltered (?:model|ai|assistant)\b|\b(?:dan|it|ai|assistant) has no (?:rules|restrictions)\b"),
    _sign("role_change", "du bist |sie sind ",
          r"\b(?:du bist|sie sind) (?:jetzt|nun|ab sofort) (?:\w{1,20} ){0,4}?(?:assistent|bot|ki|modell|system)\b"),
    _sign("role_change", "tu es |vous etes ",
          r"\b(?:tu es|vous etes) (?:maintenant|desormais) (?:\w{1,20} ){0,3}?(?:assistante?|bot|ia|modele)\b"),
    _sign("role_change", "eres|voce|tu es agora", r"\b(?:ahora eres|eres ahora|agora voce e|voce agora e|tu es agora) "
          r"(?:\w{1,20} ){0,3}?(?:asistente|assistente|bot|ia|modelo)\b"),
    _sign("role_change", " sei un", r"\b(?:ora|adesso|da ora in poi) sei una? (?:\w{1,20} ){0,3}?(?:assistente|bot|ia|modello)\b"),
    _sign("role_change", "kini|sekarang", r"\b(?:anda|kamu|awak) (?:kini|sekarang) (?:ialah|adalah|menjadi) "
          r"(?:\w{1,20} ){0,3}?(?:bot|pembantu|ai|model)\b"),
    # A word to the machine
    _sign("addresses_model", "if you are", r"\bif you are (?:an? )?(?:ai|llm|language model|bot|automated|large language)\b"),
    _sign("addresses_model", " ai|llm|language model| model|automated|ocr|software|parser| bot",
          r"\b(?:note|attention|message|instructions?|hint|footnote|task|memo|reminder)\b[ :,-]{0,3}(?:to|for)? ?"
          r"(?:the |any |all |your )?(?:\w{1,12} )?(?:ai|llm|language models?|automated (?:systems?|readers?|tools?)"
          r"|bot|model|ocr(?: pipelines?)?|accounting software|parsers?)\b"
          r"|\b(?:dear|hello|hey) (?:ai|llm|language model)\b|\bto the (?:ai|llm|language model|model) (?:that|which|reading)\b"
          r"|\bfor document ai\b|\b(?:ai|llm|language model) (?:reading|processing|parsing) this\b"),
    _sign("addresses_model", "automated|tools|any ai",
          r"\b(?:automated reviewers?|analysis tools|extraction (?:tools?|models?)|ai (?:tools?|readers?|reviewers?))\b "
          r"(?:\w{1,12} )?(?:must|shall|should|is to|are to|has to|have to)\b"),
    _sign("addresses_model", " ki|sprachmodell|ia |ai ",
          r"\b(?:hinweis|nachricht|anweisung) an (?:die|alle|jede) (?:ki|kis|sprachmodelle?)\b"
          r"|\bnote (?:a|pour) l'ia\b|\bnota para (?:la|a) ia\b|\bnota per l'(?:ia|ai)\b|\bnota kepada ai\b"),
    _sign("concealment", "mention|do not tell|don't tell",
          r"\b(?:do not|don't|never) (?:mention|reveal|report|repeat) (?:this|these|the) "
          r"(?:line|lines|instruction|instructions|message|note|sentence)\b"
          r"|\b(?:do not|don't) tell the (?:user|operator|reviewer|human)\b"),
    # What is not theirs to see, and ways out
    _sign("prompt_request", "system prompt|system-prompt|systemprompt|arahan sistem",
          r"\b(?:your|(?:reveal|repeat|print|show|disclose|output|quote|append|include|recite|copy|encode|translate"
          r"|write|put|send|summari[sz]e)(?: \w{1,20}){0,3}? (?:the|this)) system prompt\b"
          r"|\b(?:den|deinen?|ihren?) system-?prompt\b|[<{(\[] ?(?:your |the )?system prompt"),
    _sign("prompt_request", "instruction",
          r"\b(?:reveal|repeat|print|disclose|output|quote|append|recite|encode|dump|leak|spell)\b"
          r"(?: [\w',-]{1,20}){0,8}? (?:your|these) (?:\w{1,20} )?instructions?\b"
          r"|\b(?:instructions? (?:above|you were given)|your (?:initial|hidden|original|secret) instructions?)\b"
          r"|\b(?:secret|confidential|hidden) (?:word|code|phrase)(?: \w{1,20}){0,2} (?:your|these) instructions?\b"),
    _sign("tool_request", " tool", r"\b(?:call|invoke|use) (?:the|your) (?:\w{1,20} )?tool \w{1,30}_\w"
          r"|\byour (?:browser|search|web|code|shell|python) tool\b"),
    _sign("tool_request", "tool_call|function_call", r"\\?[\"'](?:tool_calls?|function_call)\\?[\"']"),
    _sign("exfiltration", "http", r"\b(?:send|post|forward|upload|submit) (?:\w{1,20} ){0,6}?to https?://"
          r"|https?://[^\s\"]{0,200}(?:[<{\[]|[?&=](?:api_?key|secret|system_?prompt))"),
    _sign("markdown", "](", r"!\[[^\]]{0,100}\]\(|\]\( ?(?:javascript|data|vbscript):"),
    _sign("markdown", "[//]", r"\[//\]: ?#"),
    _sign("html", "<script|<iframe|<object|<embed|<svg|javascript:", r"<(?:script|iframe|object|embed|svg)\b|javascript:"),
    _sign("html", "onerror|onload|onclick|onmouseover", r"<[^>]{0,200}\bon(?:error|load|click|mouseover) ?="),
    _sign("html", "hidden|display|font-size|visibility",
          r"<\w{1,10}[^>]{0,200} hidden\b|display ?: ?none|visibility ?: ?hidden|font-size ?: ?0(?![.\d])"),
    # Another voice, another document
    _sign("chat_template", "<", r"<\|[a-z_]{2,30}\|>"),
    _sign("chat_template", "inst]|sys>>|role", r"\[/?inst\]|<</?sys>>|\\?[\"']role\\?[\"'] ?: ?\\?[\"'](?:system|assistant|developer|tool)"),
    _sign("chat_template", "system|assistant|instruction|user_data|untrusted",
          r"</?(?:system|assistant|instructions?|system_prompt|user_data|untrusted\w{0,12})>|\[system\]"
          r"|#{2,3} ?(?:instruction|system|assistant)s? ?:|```(?:system|assistant|instruction)"),
    _sign("role_marker", "system|assistant|developer|admin",
          r"\b(?:system|assistant|developer|admin(?:istrator)?)(?: (?:message|prompt|note))? ?: ?"
          r"(?:\{|you (?:are|must)\b|(?:please )?(?:set|ignore|disregard|record|report|output|mark|respond|answer|reply)\b)"),
    _sign("role_marker", "system message from|system note|message from the admin",
          r"\bsystem (?:message|note) from the (?:admin|developer|operator)|# ?system note\b"),
    _sign("forged_boundary", "end of|document|instructions",
          r"<{2,3} ?(?:end of )?document\b|\b(?:begin|end) (?:system )?instructions\b"
          r"|\bend of (?:the )?(?:document|data|text|input|user input|user data|prompt|(?:contract|e-?mail) text)\b\W{0,80}"
          r"(?:the document is over|now|task|begin|real|instructions?|set|put|write|record|answer|reply|report|output"
          r"|respond|system|assistant|ignore)\b"),
    _sign("forged_boundary", "#end#|# end #|</document|document is over",
          r"#{2} ?end ?#{2}|</document> ?<|\bthe document is over\b"),
)  # fmt: skip

_CONNECTIVE: Final = (
    r"(?: ?(?:=|:=|:|->) ?| (?:to|as|is|must be|shall be|should be|be|set to|with|auf|als|a|en|como|comme|come|su"
    r"|kepada|sebagai|ialah) )"
)
_OBJECT: Final = re.compile(r"\{ ?\\?\"(\$?\w{1,40})\\?\" ?:")
_SAY: Final = re.compile(
    r"\b(?:answer|output|return|respond|reply|give|say|write|print|assistant|jawab|antworte|reponds|repondez"
    r"|responde|responda|rispondi)\b[^{}]{0,40}$"
)


def phrases(folded: str, *, fields: Collection[str] = ()) -> Iterator[str]:
    """The name of each sign that the text shows, each at most once per pattern.

    `fields` are the names in the workflow's answer: a text that assigns to them knows too much.
    """
    for sign in _SIGNS:
        spans = _around(folded, sign.anchors)
        if any(sign.pattern.search(folded, start, end) for start, end in spans):
            yield sign.name
    if _dictates(folded, fields):
        yield "dictated_answer"


def _around(text: str, anchors: tuple[str, ...]) -> Iterator[tuple[int, int]]:
    """The stretches of the text within reach of an anchor, in order, merged where they overlap."""
    found = sorted(position for anchor in anchors for position in _positions(text, anchor))
    start = end = -1
    for position in found:
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
    return any(_assigns(folded, field.casefold()) for field in fields if field.casefold() in folded)


def _assigns(folded: str, field: str) -> bool:
    """`"total" to "9.99"`; without quotation marks only for a name that no document would write."""
    named = rf"\\?[\"“„«`']{re.escape(field)}\\?[\"”“»`']"
    if "_" in field:
        named = rf"(?:{named}|\b{re.escape(field)}\b)"
    pattern = rf"{named}{_CONNECTIVE}\\?[\"“„«`'\[{{<\d-]|\b{re.escape(field)} ?= ?\\?[\"“`\d]"
    return re.search(pattern, folded) is not None
