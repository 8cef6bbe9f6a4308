"""The Settings models in, a row for each variable out: for `penstock config show` and the README's table."""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from infra.settings import Section, Settings

_PREFIX: Final = "PENSTOCK_"
_PLACEHOLDERS: Final = {"models": "<ALIAS>", "sources": "<NAME>"}
_HIDDEN: Final = "********"
_USER_INFO: Final = re.compile(r"(?<=://)[^/@\s]*@")
_PASSWORD: Final = re.compile(r"(?i)([?&][a-z_]*pass[a-z_]*=)[^&]*")


@dataclass(frozen=True, slots=True)
class Row:
    """One variable; `default` is None where it must be set."""

    variable: str
    default: str | None
    description: str


@dataclass(frozen=True, slots=True)
class Shown:
    """One variable as it is now; `origin` is default or env."""

    variable: str
    value: str
    origin: str
    description: str


def settings_table() -> list[Row]:
    """Every variable, with <ALIAS> and <NAME> where a deployment chooses names; the same on all machines."""
    return [
        Row(variable, None if field.is_required() else written(field.get_default()), field.description or "")
        for variable, field in _variables(Settings, _PREFIX)
    ]


def markdown() -> str:
    """The README's table."""
    lines = ["| variable | default | what it is |", "| --- | --- | --- |"]
    for row in settings_table():
        default = "must be set" if row.default is None else f"`{row.default}`" if row.default else ""
        lines.append(f"| `{row.variable}` | {default} | {row.description} |")
    return "\n".join(lines)


def shown(settings: Settings) -> list[Shown]:
    """Every variable with its value, secrets masked."""
    return list(_shown(settings, _PREFIX))


def written(value: Any) -> str:
    """A value as its variable would be written; unset is empty."""
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, tuple):
        return ",".join(map(written, value))
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)


def masked(value: Any) -> str:
    """A value without its secrets: whole secrets, and user and password in an address."""
    if isinstance(value, tuple) and any(isinstance(one, SecretStr) for one in value):
        return f"{_HIDDEN} ({len(value)})"
    text = written(value)
    if isinstance(value, SecretStr) and text and "://" not in text:
        return _HIDDEN
    return _PASSWORD.sub(rf"\1{_HIDDEN}", _USER_INFO.sub(f"{_HIDDEN}@", text))


def unknown(environment: Collection[str]) -> list[str]:
    """Variables that look like settings of ours and are none: misspelt, most likely."""
    patterns = [
        re.compile(re.sub("<[A-Z]+>", "[A-Z0-9_-]+?", row.variable), re.IGNORECASE)
        for row in settings_table()
    ]
    sections = {f"{_PREFIX}{name}".upper() for name in Settings.model_fields}
    return sorted(
        name
        for name in environment
        if name.upper().startswith(_PREFIX)
        and name.upper() not in sections | _NOT_SETTINGS
        and not any(pattern.fullmatch(name) for pattern in patterns)
    )


#: Read by `infra.local`, which starts services, and by compose.yaml: no process of Penstock.
_NOT_SETTINGS: Final = frozenset({"PENSTOCK_LOCAL_DIR", "PENSTOCK_VERSION"})


def _variables(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, FieldInfo]]:
    for name, field in model.model_fields.items():
        variable = prefix + name.upper()
        section = _section(field)
        if section is None:
            yield variable, field
        else:
            placeholder = f"{_PLACEHOLDERS[name]}__" if name in _PLACEHOLDERS else ""
            yield from _variables(section, f"{variable}__{placeholder}")


def _section(field: FieldInfo) -> type[Section] | None:
    """The section that a field holds, or holds several of by name."""
    kind = field.annotation
    if get_origin(kind) is Mapping:
        kind = get_args(kind)[1]
    return kind if isinstance(kind, type) and issubclass(kind, Section) else None


def _shown(model: BaseModel, prefix: str) -> Iterator[Shown]:
    for name, field in type(model).model_fields.items():
        value, variable = getattr(model, name), prefix + name.upper()
        if isinstance(value, Section):
            yield from _shown(value, f"{variable}__")
        elif _section(field) is not None:
            for key, section in sorted(value.items()):
                yield from _shown(section, f"{variable}__{key.upper()}__")
        else:
            origin = "env" if name in model.model_fields_set else "default"
            yield Shown(variable, masked(value), origin, field.description or "")
