"""What the operator's commands are made of; imports nothing that takes long, so that `--help` is there at once."""

import typer

EXIT_CODES = "Ends with 0: fine; 1: something differs or failed; 2: usage; 3: a server does not answer."


def application(text: str, *, completion: bool = False) -> typer.Typer:
    """A command with subcommands."""
    return typer.Typer(
        help=text,
        no_args_is_help=True,
        add_completion=completion,
        pretty_exceptions_enable=False,
        rich_markup_mode="markdown",
    )
