"""`python -m infra.local`: the command line. Exit codes: 0, or 1 when something is not as it should be."""

import argparse
import os
import sys

from infra.local import programs, stack
from infra.local.environment import SERVICE_VARIABLES
from infra.local.place import FOLDER_VARIABLE, LocalServiceError, Place, place_from_environment
from infra.local.run import run


def main() -> int:
    arguments = _parser().parse_args()
    place = place_from_environment()
    try:
        return _obey(arguments, place)
    except LocalServiceError as error:
        sys.stderr.write(f"infra.local: {error}\n")
    except KeyboardInterrupt:
        sys.stderr.write("infra.local: interrupted\n")
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m infra.local",
        description="PostgreSQL, Redis and Apache Kafka on this machine, each on a port of its own.",
        epilog=f"All is kept in .local of the project, or in the folder that {FOLDER_VARIABLE} names.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("up", help="start what is not running, and write <folder>/env")
    down = commands.add_parser("down", help="stop all")
    down.add_argument("--wipe", action="store_true", help="and remove data, ports and secret")
    commands.add_parser("status", help="show each service; exit 1 unless all are up")
    commands.add_parser("env", help="print the variables a Penstock process needs, for `eval`")
    for verb in ("start", "stop"):
        one = commands.add_parser(verb, help=f"{verb} single services")
        one.add_argument("name", nargs="+", choices=stack.ALL)
    around = commands.add_parser("run", help="up, a command with the variables of `env`, down")
    around.add_argument("rest", nargs=argparse.REMAINDER, metavar="COMMAND")
    test = commands.add_parser("test", help="the same for tests: services' addresses only, wiped at the end")
    test.add_argument("rest", nargs=argparse.REMAINDER, metavar="COMMAND")
    return parser


def _obey(arguments: argparse.Namespace, place: Place) -> int:
    match arguments.command:
        case "up":
            stack.up(place)
            return _show_status(place)
        case "start":
            stack.up(place, arguments.name)
        case "stop":
            stack.down(place, arguments.name)
        case "down":
            stack.down(place, wiped=arguments.wipe)
        case "status":
            return _show_status(place)
        case "env":
            return _show_env(place)
        case "run":
            return run(place, arguments.rest, shown=None, wiped=False)
        case _:
            return _test(place, arguments.rest)
    return 0


def _test(place: Place, command: list[str]) -> int:
    """Services that the environment names are used as they are."""
    programs.require_browser()
    if all(os.environ.get(name) for name in SERVICE_VARIABLES):
        os.execvp(command[0], command)
    return run(place, command, shown=SERVICE_VARIABLES, wiped=True)


def _show_status(place: Place) -> int:
    now = stack.status(place)
    for each in now:
        process = f"pid {each.pid}" if each.pid else ""
        sys.stdout.write(f"{each.name:<9} {each.state:<16} {each.address:<16} {process:<12} {each.log}\n")
    return 0 if all(each.state == "up" for each in now) else 1


def _show_env(place: Place) -> int:
    if not place.env_file.exists():
        raise LocalServiceError("there is no environment yet: run `python -m infra.local up` first")
    sys.stdout.write(place.env_file.read_text())
    return 0


if __name__ == "__main__":
    sys.exit(main())
