"""A sealed record in, a line of an export out: what `infra/verify_export.py` checks with nothing of ours."""

import base64
import json
from collections.abc import Sequence


def head(checkpoint: str) -> str:
    """The first line: the signed checkpoint that all paths lead to."""
    return _line({"checkpoint": checkpoint})


def line(
    canonical: bytes, sequence: int, path: Sequence[bytes], contents: Sequence[tuple[bytes, bytes]] = ()
) -> str:
    """One record with its proof; `contents` are the texts disclosed with it, as (salt, bytes)."""
    record: dict[str, object] = {
        "canonical": canonical.decode(),
        "sequence": sequence,
        "path": [base64.b64encode(step).decode() for step in path],
    }
    if contents:
        record["contents"] = [
            {"salt": salt.hex(), "bytes": base64.b64encode(data).decode()} for salt, data in contents
        ]
    return _line(record)


def _line(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n"
