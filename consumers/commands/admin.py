"""`penstock db`, `topics`, `token` and `config`: what an operator sets up once."""

import re
from typing import Annotated, Final, Literal

from cyclopts import App, Parameter

from consumers.commands import output
from consumers.commands.output import Json

db = App(name="db", help="Bring the database up to date.")
topics = App(name="topics", help="Make the topics that the workflows declare.")
token = App(name="token", help="API tokens.")
config = App(name="config", help="Every setting and where it came from.")

Role = Literal["sender", "viewer", "reviewer", "operator", "admin"]

#: It becomes a part of a CloudEvents source, `http:<name>`.
_TOKEN_NAME: Final = re.compile("[a-z][a-z0-9_-]{0,39}")

#: For the README, which a test compares with it.
Markdown = Annotated[bool, Parameter(negative="", help="Print every variable and its default, as a table.")]


@db.command
def upgrade(*, as_json: Json = False) -> None:
    """Make the tables, or bring them to this release's shape. May be run at any time, also twice."""
    from consumers.commands.running import run, settings_for
    from infra import database, schema

    settings = settings_for("cli")

    async def work() -> str:
        connected = database.connect(settings.database.url)
        try:
            return await schema.upgrade(connected)
        finally:
            await connected.close()

    revision = run(work())
    if as_json:
        output.emit_json({"revision": revision})
    else:
        output.say(f"The database is at {revision}.")


@topics.command
def create(*, as_json: Json = False) -> None:
    """Make every topic that workflows read or write, where it does not exist. May be run twice.

    Partitions, replicas and retention are PENSTOCK_KAFKA__* settings; a topic that exists keeps its own.
    """
    from infra import settings as all_settings
    from pipeline import catalogue as catalogues
    from pipeline import contracts

    settings = all_settings.load()
    wanted = contracts.topics(catalogues.load(settings.workflows))
    if settings.is_embedded:
        if as_json:
            output.emit_json({})
        output.note("Nothing to do: without Kafka (PENSTOCK_KAFKA__BOOTSTRAP_SERVERS) topics are rows.")
        return
    from infra import kafka, probes

    probes.cluster(settings.kafka)
    made = kafka.create_topics(settings.kafka, wanted)
    if as_json:
        output.emit_json({topic: "created" if is_new else "exists" for topic, is_new in made.items()})
        return
    output.table(
        ("topic", ""), [(topic, "created" if is_new else "exists") for topic, is_new in made.items()]
    )


@token.command(name="new")
def new_token(
    name: str,
    /,
    *,
    role: Annotated[Role, Parameter(help="What it may do.")],
    source: Annotated[
        tuple[str, ...],
        Parameter(
            help="A CloudEvents source that it may send as, * for any; may be given again.", negative=""
        ),
    ] = (),
    as_json: Json = False,
) -> None:
    """Make an API token and print it, this once: only its hash is kept. On record in the audit trail.

    A sender may always send plain data, as `http:NAME`.
    """
    from consumers.commands.running import run
    from pipeline.errors import InvalidSettingsError

    if not _TOKEN_NAME.fullmatch(name):
        raise InvalidSettingsError(f"{name!r} is no name for a token; use a-z, 0-9, - and _, at most 40")
    text = run(_add_token(name, role, source))
    if as_json:
        output.emit_json({"name": name, "role": role, "sources": source, "token": text})
    else:
        output.note("The token, shown this once; send it as `Authorization: Bearer ...`:")
        output.say(text)


@token.command(name="list")
def list_tokens(*, as_json: Json = False) -> None:
    """Every token: its name, what it may do, and the sources that it may send as."""
    from consumers.commands.running import deployed, run
    from infra.store import administration
    from infra.store.administration import Token

    async def work() -> list[Token]:
        async with deployed() as deployment:
            return await administration.tokens(deployment.database)

    found = run(work())
    if as_json:
        output.emit_json(found)
    else:
        output.table(
            ("name", "role", "sources"), [(one.name, one.role, ", ".join(one.sources)) for one in found]
        )


@token.command(name="revoke")
def revoke_token(name: str, /, *, as_json: Json = False) -> None:
    """Let nobody in by this token any longer; a running API hears of it within seconds. On record."""
    from dataclasses import replace

    from consumers import wiring
    from consumers.commands.running import deployed, run
    from infra.store import administration
    from pipeline.trail import noted

    async def work() -> None:
        async with deployed() as deployment:
            scribe = replace(deployment.scribe, actor=wiring.operator())
            record = noted("token_revoked", {"name": name}, scribe=scribe, now=wiring.clock())
            await administration.remove_token(deployment.database, name, record)

    run(work())
    if as_json:
        output.emit_json({"revoked": name})
    else:
        output.say(f"The token {name} is revoked.")


async def _add_token(name: str, role: Role, sources: tuple[str, ...]) -> str:
    from dataclasses import replace
    from uuid import uuid4

    from consumers import wiring
    from consumers.commands.running import deployed
    from infra import tokens
    from infra.store import administration
    from pipeline.trail import noted

    text, digest = tokens.new_token()
    made = administration.Token(uuid4(), name, role, sources)
    body = {"token_id": str(made.id), "name": name, "role": role, "sources": list(sources)}
    async with deployed() as deployment:
        scribe = replace(deployment.scribe, actor=wiring.operator())
        record = noted("token_made", body, scribe=scribe, now=wiring.clock())
        await administration.add_token(deployment.database, made, digest, record)
    return text


@config.command(name="show")
def show_config(*, as_json: Json = False, markdown: Markdown = False) -> None:
    """Every setting: its variable, its value, and whether it is the default or set (env); no secrets."""
    from consumers.commands import configuration
    from infra.settings import load

    if markdown:
        output.say(configuration.markdown())
        return
    rows = configuration.shown(load())
    if as_json:
        output.emit_json(rows)
    else:
        output.table(("variable", "value", "from"), [(row.variable, row.value, row.origin) for row in rows])
