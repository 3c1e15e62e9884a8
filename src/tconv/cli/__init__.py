"""The command line: one module per command, imported when it is called."""

from __future__ import annotations

import sys

COMMANDS = {
    "explain": "tconv.cli.explain:explain",
    "size": "tconv.cli.size:size",
    "solve": "tconv.cli.solve:solve",
    "invert": "tconv.cli.invert:invert",
    "coverage": "tconv.cli.coverage:coverage",
    "upsample": "tconv.cli.upsample:upsample",
    "demo": "tconv.cli.demo:demo",
    "show-config": "tconv.cli.show_config:show_config",
}


def main(arguments: list[str] | None = None) -> None:
    """Run `tconv ARGUMENTS`; whatever goes wrong is one line on stderr and a non-zero exit."""
    try:
        sys.exit(run(sys.argv[1:] if arguments is None else arguments))
    except KeyboardInterrupt:
        fail("interrupted", status=130)
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output has left; nobody is there to be told
        sys.exit(1)


def run(arguments: list[str]) -> int:
    """The command's exit status."""
    try:
        import cyclopts
        import rich  # noqa: F401  # every command prints with it
    except ModuleNotFoundError as error:
        fail(f"the command line needs {error.name}: pip install 'tconv[explain]'")
    from tconv import __version__, errors

    app = cyclopts.App(
        name="tconv", help="The transposed convolution: fast, exact and understood.", version=__version__
    )
    for name, function in COMMANDS.items():
        app.command(function, name=name)
    try:
        result = app(arguments, exit_on_error=False, print_error=False, result_action="return_value")
    except (cyclopts.CycloptsError, errors.TconvError, OSError) as error:
        fail(str(error))
    return result if isinstance(result, int) else 0


def fail(message: str, status: int = 2) -> None:
    """Say what is wrong in one line and leave."""
    print("tconv: " + " ".join(message.split()), file=sys.stderr)
    sys.exit(status)
