"""A simulated model: an OpenAI-compatible HTTP server that answers by rules and fails when it is told to.

In: chat completions with a JSON Schema (`response_format` or `tools`) and a text, the content of the FIRST
message with role `user`, nothing stripped; a re-ask appends messages after it and so keeps its hash.
Out: an answer that validates against the schema, under a model name that always begins with `simulated`.
The text decides what is found, never what the server does. Who decides that, first match wins:

1. a rule of `POST /script`: `{"rules": [{"sha256": "<hex of the UTF-8 text>" or "*", "fault" or "answer",
   "times", "retry_after", "latency_ms", "usage"}]}`. Rules are tried in the order they came, those of later
   posts after those before; one with `times` is gone after so many answers, and the next rule for that text,
   or the usual answer, follows. `answer` is sent as it is, valid or not. `DELETE /script` forgets them all;
2. the model name: `simulated-fault-<name>` (`faults.FAULTS`, with `-` or `_`), `simulated-slow-<ms>`,
   `simulated-gold` (right answers from JSON lines `{"text": ..., "answer": ...}`);
3. the rules of `answers.py`; every other model name ends here.
"""
