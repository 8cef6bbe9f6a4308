"""`penstock audit`: on what does a decision rest; is the log what was signed, and with which keys?"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from consumers.commands import output
from consumers.commands.output import Json

if TYPE_CHECKING:
    from infra.settings import Settings

app = App(name="audit", help="The audit trail: explain a decision, list, show, export, verify it; its keys.")
for _name, _function in (
    ("explain", "explain"),
    ("list", "list_records"),
    ("show", "show"),
    ("export", "export"),
):
    app.command(f"consumers.commands.audit_query:{_function}", name=_name)
key = App(name="key", help="The keys that the audit log is signed with.")
app.command(key)

Keys = Annotated[
    Path | None,
    Parameter(help="Trusted public keys; without it those of this deployment, which proves less."),
]
Kept = Annotated[
    Path | None,
    Parameter(help="Checkpoints that were kept elsewhere: each must be in the log, the newest too."),
]
Since = Annotated[
    Path | None, Parameter(help="Verify only what came after the last checkpoint in this file.")
]
Record = Annotated[
    str | None,
    Parameter(
        help="Print the proof of one record, by its id or its leaf (`audit_leaf` of a message); under the "
        "last checkpoint of --checkpoint, else under the newest seal."
    ),
]


Texts = Annotated[
    bool,
    Parameter(
        negative="",
        help="Compare every stored text and result with the hashes in its record, too; takes longer.",
    ),
]


@app.command
def verify(
    *,
    keys: Keys = None,
    checkpoint: Kept = None,
    since: Since = None,
    record: Record = None,
    texts: Texts = False,
    as_json: Json = False,
) -> None:
    """Recompute the log from its bytes and compare everything; name each difference and exit 1.

    Take keys and checkpoints from where whoever writes the database cannot write. With --record: a
    C2SP tlog-proof on stdout, after checking it.
    """
    from consumers.commands.running import run, settings_for

    settings = settings_for("cli")
    run(_verify(settings, keys, checkpoint, since, record, texts=texts, as_json=as_json))


async def _verify(
    settings: "Settings",
    keys: Path | None,
    checkpoint: Path | None,
    since: Path | None,
    record: str | None,
    *,
    texts: bool,
    as_json: bool,
) -> None:
    from consumers.commands import verifying
    from consumers.commands.running import database, deployed

    trust = verifying.trust(settings, keys, checkpoint)
    start = verifying.last(trust, since) if since else None
    async with database(settings) as connected:
        if record is not None:
            under = verifying.last(trust, checkpoint) if checkpoint else None
            verifying.tell_proof(await verifying.proved(connected, trust, record, under), as_json=as_json)
            return
        report = await verifying.verified(connected, trust, start)
    if texts:  # of subjects, too, whose keys only a deployment has
        async with deployed() as deployment:
            await verifying.compare_texts(deployment.database, report)
    verifying.tell(report, as_json=as_json)


@key.command(name="new")
def new_key(name: str, /, *, as_json: Json = False) -> None:
    """Make a signing key: in PENSTOCK_AUDIT__KEY_FILE where that is set, else printed, this once.

    NAME says whose log it is, such as acme.example/penstock; it stays when the key is rotated. The key
    goes on record when it first signs.
    """
    from consumers import wiring
    from consumers.commands.running import settings_for
    from infra import signing
    from infra.keys import KeyFile

    named = settings_for("cli").audit.key_file
    if named:
        made = KeyFile(Path(named)).make(name, now=wiring.clock())
        _tell_key(str(made.key), f"The key is in {named}; its public half:", as_json=as_json)
        return
    written = signing.new_key(name)
    public = str(signing.read_key(written).key)
    if as_json:
        output.emit_json({"key": written, "public": public})
        return
    output.note(f"Set PENSTOCK_AUDIT__KEY to this, for `serve seal` alone; its public half is {public}")
    output.say(written)


@key.command(name="list")
def list_keys(*, as_json: Json = False) -> None:
    """The public keys, the oldest first, as `audit verify --keys` takes them. Keep a copy elsewhere."""
    from consumers.commands.running import settings_for
    from consumers.commands.verifying import own_keys

    keys = own_keys(settings_for("cli"))
    if as_json:
        output.emit_json([{"key": str(one.key), "above": one.above, "remark": one.remark} for one in keys])
        return
    for one in keys:
        output.say(one.line.rstrip("\n"))


@key.command
def rotate(*, as_json: Json = False) -> None:
    """Put a new key of the same name in the key file; the next seal is signed by it. On record.

    The old public key stays in the list, and verifies what it signed. A running sealer takes the new
    one within a second. A key in a variable is rotated by setting another of the same name.
    """
    from consumers.commands.running import run, settings_for

    made = run(_rotate(settings_for("cli")))
    _tell_key(made, "The new public key; hand it to those who verify:", as_json=as_json)


async def _rotate(settings: "Settings") -> str:
    from consumers import trust
    from consumers.commands.running import deployed
    from pipeline.errors import InvalidSettingsError

    file = trust.key_file(settings)
    if file is None:
        raise InvalidSettingsError(
            "PENSTOCK_AUDIT__KEY_FILE: rotating needs the key in a file; a key in PENSTOCK_AUDIT__KEY is "
            "rotated by `penstock audit key new` with the same name, setting it, and restarting `serve seal`"
        )
    async with deployed(settings) as deployment:
        return await trust.rotated(deployment, file)


def _tell_key(public: str, remark: str, *, as_json: bool) -> None:
    if as_json:
        output.emit_json({"public": public})
        return
    output.note(remark)
    output.say(public)
