"""`penstock`: the command line. Commands live in `consumers.commands` and are imported when they are used."""

import importlib.util
import os
import sys
from pathlib import Path
from typing import Final

from cyclopts import App, CycloptsError

EXIT_OK: Final = 0
EXIT_FAILURE: Final = 1
EXIT_USAGE: Final = 2
EXIT_NOT_FOUND: Final = 3
EXIT_CONFLICT: Final = 4
EXIT_UNAVAILABLE: Final = 6

_HELP: Final = """One event, one outcome, one charge.

Settings are PENSTOCK_* variables; `penstock config show` prints them all. Every command that answers
takes `--json`. Exit codes: 0 done, 1 failed or unbalanced, 2 wrong usage or settings, 3 not found,
4 conflict, 6 a service is away.
"""

_COMMANDS: Final = {
    "dev": ("consumers.commands.dev:dev", "Everything in one process: nothing but Python."),
    "demo": ("consumers.commands.demo:demo", "300 events through embedded mode, and what became of them."),
    "serve": ("consumers.commands.serve:app", "One process of a distributed deployment."),
    "emit": ("consumers.commands.events:emit", "Send events from files to a topic."),
    "tail": ("consumers.commands.events:tail", "Print the messages of a topic."),
    "event": ("consumers.commands.events:app", "The whole story of one event."),
    "dlq": ("consumers.commands.dlq:app", "Dead letters: list, show, replay."),
    "review": ("consumers.commands.review:app", "What waits for a person: look, and decide."),
    "stats": ("consumers.commands.stats:stats", "The reconciliation: accepted = outcomes + in flight."),
    "spend": ("consumers.commands.spend:spend", "What calls of models have cost, and what the caps leave."),
    "workflow": (
        "consumers.commands.workflow:app",
        "List, show, try, scaffold, compare, pause and resume workflows.",
    ),
    "eval": ("consumers.commands.eval:app", "Labelled cases through a workflow, field by field."),
    "export": ("consumers.commands.export:app", "What people found right, as training data."),
    "topics": ("consumers.commands.admin:topics", "Make the topics that the workflows declare."),
    "audit": ("consumers.commands.audit:app", "The audit trail: explain a decision, list, export, verify."),
    "erase": ("consumers.commands.erase:erase", "Destroy every text of a subject."),
    "hold": ("consumers.commands.privacy:hold", "Legal holds: what is neither erased nor pruned."),
    "prune": ("consumers.commands.prune:prune", "Remove what is older than the retention settings say."),
    "privacy": ("consumers.commands.privacy:app", "The master keys of encrypted texts."),
    "db": ("consumers.commands.admin:db", "Bring the database up to date."),
    "token": ("consumers.commands.admin:token", "API tokens."),
    "user": ("consumers.commands.users:app", "Accounts of people."),
    "link": ("consumers.commands.link:link", "A link that opens the pages of `penstock dev`, once."),
    "config": ("consumers.commands.admin:config", "Every setting and where it came from."),
    "doctor": ("consumers.commands.doctor:doctor", "Check every service and say what to do."),
}


def create_app(asked: str = "") -> App:
    """The command tree, with nothing imported yet.

    The command that is `asked` for is imported in any case, and has the help that its docstring is.
    """
    app = App(name="penstock", help=_HELP, version=_version, version_flags=["--version"])
    for name, (path, purpose) in _COMMANDS.items():
        app.command(path, name=name, help=None if name == asked else purpose)
    return app


def main() -> int:
    """Run one command; returns the exit code. Errors are told in one line on stderr."""
    if shadow := shadowed():
        print(shadow, file=sys.stderr)  # noqa: T201 - nothing of ours may be imported yet
        return EXIT_USAGE
    try:
        create_app(*sys.argv[1:2])(exit_on_error=False, print_error=True, result_action="return_value")
    except CycloptsError:
        return EXIT_USAGE
    except BrokenPipeError:  # the reader has seen enough, as in `penstock tail | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_OK
    except KeyboardInterrupt:
        return 130
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else EXIT_FAILURE
    except Exception as error:
        cause = _cause(error)
        code = _code(cause)
        if code is None:
            raise
        print(f"penstock: {cause}", file=sys.stderr)  # noqa: T201 - the one place that tells errors
        return code
    return EXIT_OK


def shadowed() -> str | None:
    """A sentence that names the folder that stands before one of our packages; their names are common.

    They are looked for, not imported: what stands there instead may do anything.
    """
    home = Path(__file__).resolve().parent.parent
    for name in ("schemas", "pipeline", "infra", "consumers"):
        spec = importlib.util.find_spec(name)
        if spec is None:
            return f"penstock: the package {name!r} cannot be found; install Penstock again"
        place = Path(spec.origin or next(iter(spec.submodule_search_locations or [name]))).resolve()
        if home not in place.parents:
            return f"penstock: {place} stands before Penstock's own {name!r}; take it out of PYTHONPATH"
    return None


def _cause(error: Exception) -> Exception:
    """What a group of one is about: tasks that run together wrap the error of any of them."""
    while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def _code(error: Exception) -> int | None:
    """The exit code of an error that is the user's to mend; None for a bug."""
    from pipeline import errors

    codes: list[tuple[tuple[type[Exception], ...], int]] = [
        ((errors.InvalidSettingsError, errors.InvalidWorkflowError, errors.InvalidEvent), EXIT_USAGE),
        ((errors.InvalidCorrection,), EXIT_USAGE),
        ((errors.NotFound, FileNotFoundError), EXIT_NOT_FOUND),
        ((errors.Conflict,), EXIT_CONFLICT),
        ((errors.StoreUnavailable, ConnectionError), EXIT_UNAVAILABLE),
    ]
    for kinds, code in codes:
        if isinstance(error, kinds):
            return code
    return EXIT_UNAVAILABLE if type(error).__module__.startswith("kafka.") else None


def _version() -> str:
    from consumers.wiring import release

    return release()
