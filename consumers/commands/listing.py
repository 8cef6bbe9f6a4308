"""A package's `__init__.py` in, the same with one more workflow out: imported, and in WORKFLOWS."""

import ast
from typing import Final

_LINE_LENGTH: Final = 110


def listed(text: str, package: str, module: str) -> str | None:
    """`text` with `module` imported and its workflow in WORKFLOWS; None when it is not laid out as ours."""
    workflows = next((node for node in ast.parse(text).body if _is_workflows(node)), None)
    if not isinstance(workflows, ast.Assign | ast.AnnAssign) or not isinstance(workflows.value, ast.Tuple):
        return None
    lines = text.splitlines()
    items = [ast.unparse(item) for item in workflows.value.elts] + [f"{module}.workflow"]
    target = workflows.targets[0] if isinstance(workflows, ast.Assign) else workflows.target
    head = ast.unparse(target)
    if isinstance(workflows, ast.AnnAssign):
        head += f": {ast.unparse(workflows.annotation)}"
    _replace(lines, workflows, _bracketed(f"{head} = ", items, trailing=len(items) == 1))
    return "\n".join(_imported(lines, ast.parse(text), package, module)) + "\n"


def _imported(lines: list[str], tree: ast.Module, package: str, module: str) -> list[str]:
    """Imports stand before WORKFLOWS, so their line numbers still hold."""
    imports = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    for node in imports:
        own = isinstance(node, ast.ImportFrom) and (node.module, node.level) in ((package, 0), (None, 1))
        if isinstance(node, ast.ImportFrom) and own and all(alias.asname is None for alias in node.names):
            names = sorted({alias.name for alias in node.names} | {module})
            origin = "." * node.level + (node.module or "")
            _replace(lines, node, _bracketed(f"from {origin} import ", names, bare=True))
            return lines
    line = f"from {package} import {module}"
    if imports:
        end = imports[-1].end_lineno or 0
        return [*lines[:end], line, *lines[end:]]
    end = _docstring_end(tree)
    rest = lines[end:]
    return [*lines[:end], *([""] if end else []), line, *([] if rest[0] == "" else [""]), *rest]


def _docstring_end(tree: ast.Module) -> int:
    first = tree.body[0]
    is_docstring = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    return (first.end_lineno or 0) if is_docstring else 0


def _is_workflows(node: ast.stmt) -> bool:
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    return any(isinstance(target, ast.Name) and target.id == "WORKFLOWS" for target in targets)


def _bracketed(head: str, items: list[str], *, bare: bool = False, trailing: bool = False) -> list[str]:
    """On one line if it fits, else one item per line: as `ruff format` would have it."""
    joined = ", ".join(items) + ("," if trailing else "")
    line = f"{head}{joined}" if bare else f"{head}({joined})"
    if len(line) <= _LINE_LENGTH:
        return [line]
    return [f"{head}(", *(f"    {item}," for item in items), ")"]


def _replace(lines: list[str], node: ast.stmt, new: list[str]) -> None:
    lines[node.lineno - 1 : node.end_lineno] = new
