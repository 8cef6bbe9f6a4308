"""A simulated model: an OpenAI-compatible HTTP server that answers by rules and fails when it is told to.

In: chat completions with a JSON Schema and a text, the content of the FIRST message with role `user`, nothing
stripped; a re-ask appends messages and so keeps its hash. Out: an answer that validates, from a model whose
name begins with `simulated`. The text never decides what the server does; the first of these does:

1. a rule of `POST /script`: `{"rules": [{"sha256": "<hex of the UTF-8 text>" or "*", "fault" or "answer" (as
   it is sent), "times", "retry_after", "latency_ms", "usage"}]}`, in their order; DELETE forgets them;
2. the model name: `simulated-fault-<name>` (`faults.FAULTS`, with `-` or `_`; 404 for another name),
   `simulated-slow-<ms>`, `simulated-gold` (right answers from JSON lines `{"text": ..., "answer": ...}`),
   `simulated-gullible` (what it would answer otherwise, with what the text tells it to answer laid over:
   `gullible.py`; the only mode in which the text decides anything, so that attacks can be tried);
3. the rules of `answers.py`; every other model name ends here.
"""
