"""The table of commands, each imported when it is used, and the one place where errors become exit codes."""

from __future__ import annotations

import importlib
import sys

import click

from .. import __version__, redact
from ..errors import HoldfastError
from . import CLOSED_PIPE, DONE, FAILED, USAGE
from .options import ShowsExamples
from .output import ClosedOutput, code_of, complain, flush, show_trace

#: Each is the module of this name, whose ``command`` it is.
COMMANDS = (
    "cat", "cleanup", "config", "cp", "diff", "doctor", "du", "head", "ls", "mv", "rm", "sync", "uploads", "verify",
    "whoami",
)  # fmt: skip


class Commands(ShowsExamples, click.Group):
    """A group that imports a command only when it is asked for it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, sorted."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name, or None."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"{__package__}.{cmd_name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the arguments begin with; for an unknown one a usage error that names the nearest."""
        name = args[0]
        if name in COMMANDS or name.startswith("-"):
            return super().resolve_command(ctx, args)
        raise click.UsageError(f"there is no command '{name}': {_nearest(name)}", ctx)


def _nearest(name: str) -> str:
    import difflib

    wellknown = {"copy": "cp", "get": "cp", "put": "cp", "move": "mv", "rename": "mv",
                 "mirror": "sync", "rsync": "sync", "list": "ls", "dir": "ls",
                 "delete": "rm", "del": "rm", "remove": "rm", "stat": "head",
                 "info": "head", "size": "du", "check": "verify", "cmp": "diff", "compare": "diff",
                 "clean": "cleanup", "less": "cat", "print": "cat", "multipart": "uploads",
                 "stores": "config", "yaml": "config",
                 "probe": "doctor", "test": "doctor",
                 "login": "whoami", "auth": "whoami", "credentials": "whoami"}  # fmt: skip
    near = [wellknown[name]] if name in wellknown else difflib.get_close_matches(name, COMMANDS, n=1, cutoff=0.3)
    return f"did you mean '{near[0]}'?" if near else f"there are {', '.join(COMMANDS)}"


def _show_version(context: click.Context, _option: click.Parameter, wanted: bool) -> None:
    if wanted:
        click.echo(f"holdfast {__version__}")
        context.exit()


EXAMPLES = """
holdfast ls -l s3://bucket/run1
holdfast cp -r results s3://bucket/run1
holdfast sync --dry-run results s3://bucket/run1
holdfast diff results s3://bucket/run1
holdfast cat s3://bucket/run1/info.json
holdfast rm -r s3://bucket/run1
"""


HELP = """
Objects in any cloud and on the local machine: list, copy, sync, show, remove, measure and compare them.

A location is a local path or a URL such as s3://bucket/run1, and means that object or everything under
run1/ (never run10). "holdfast COMMAND --help" shows the options of each command.

\b
Locations:
  results, file:///tmp/results          local files
  s3://bucket/run1                      Amazon S3
  s3://https://host:port/bucket/run1    S3 at an address of one's own
  gs://bucket/run1                      Google Cloud Storage
  az://container/run1                   Azure, by AZURE_STORAGE_ACCOUNT_NAME
  az://https://ACCOUNT.blob.core.windows.net/container/run1
  https://host/path                     a web server, for reading
  config://stores.yaml#name/run1        a store that a file describes
"""


@click.group(cls=Commands, help=HELP, epilog=EXAMPLES, invoke_without_command=True)
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_show_version,
              help="Show the version and exit.")  # fmt: skip
@click.pass_context
def commands(context: click.Context) -> int:
    """What is done without a command: the help, on standard error."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help(), err=True)
        return USAGE
    return DONE


def invoke(arguments: list[str]) -> int:
    """The exit code of this command line; every error ends here, as one line on standard error."""
    try:
        with commands.make_context("holdfast", arguments) as context:
            code: int | None = commands.invoke(context)
        flush()
        return code or DONE
    except click.exceptions.Exit as ended:
        return ended.exit_code
    except click.UsageError as error:
        return _usage(error)
    except (ClosedOutput, BrokenPipeError):
        return CLOSED_PIPE
    except HoldfastError as error:
        complain(error)
        return code_of(error)
    except Exception as error:  # noqa: BLE001 - reported in one line, like everything else, with its type
        complain(error)
        return FAILED


def _usage(error: click.UsageError) -> int:
    show_trace(error)
    path = error.ctx.command_path if error.ctx is not None else "holdfast"
    message = error.format_message().rstrip(".")
    sys.stderr.write(redact.text(f"holdfast: {message}; '{path} --help' shows how\n"))
    return USAGE
