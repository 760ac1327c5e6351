"""How commands end: with 0, with one line and 2, or, interrupted, with 130."""

from typing import Any

import typer
from typer.core import TyperGroup

INTERRUPTED = 130
WRONG = 2

_UsageError: Any = typer.BadParameter.__base__


class Group(TyperGroup):
    """A group whose commands report what the user can mend on one line of stderr.

    That is a `ValueError`, as every check of the library raises, a loss that was not finite, what the system
    says of files, and a missing package. Any other exception is a mistake of ours and keeps its traceback.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        # Whoever meets an error adds the option at the end of the line.
        debug = [word for word in args if word == "--debug"]
        return super().parse_args(ctx, debug[:1] + [word for word in args if word != "--debug"])

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            typer.echo("Interrupted.", err=True)
            raise typer.Exit(INTERRUPTED) from None
        except _UsageError as error:
            raise _end(error.format_message()) from None
        except (ValueError, FloatingPointError, OSError, ImportError) as error:
            if ctx.params.get("debug"):
                raise
            raise _end(str(error)) from None


def _end(message: str) -> typer.Exit:
    typer.echo(f"Error: {' '.join(message.split())}", err=True)
    return typer.Exit(WRONG)
