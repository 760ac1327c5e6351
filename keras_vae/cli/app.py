"""The commands put together."""

from importlib import metadata
from typing import Annotated

import typer

from keras_vae.cli.configure import configure
from keras_vae.cli.convert import convert
from keras_vae.cli.demo import demo
from keras_vae.cli.evaluate import evaluate
from keras_vae.cli.export import export
from keras_vae.cli.group import Group
from keras_vae.cli.sample import sample
from keras_vae.cli.serve import serve
from keras_vae.cli.train import train
from keras_vae.cli.tune import tune

app = typer.Typer(
    name="keras-vae",
    cls=Group,
    help="Variational autoencoders: train, search, evaluate, sample, export, serve.",
    epilog="A run is a folder that holds everything about one training. Begin with: keras-vae demo",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

for command in (train, tune, evaluate, sample, export, convert, configure, serve, demo):
    app.command()(command)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"keras-vae {metadata.version('keras-vae')}")
        raise typer.Exit


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Options before any command; `Group` reads them."""


def main() -> None:
    """Runs the command line with the arguments of the process."""
    app(prog_name="keras-vae")
