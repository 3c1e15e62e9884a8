"""The command line: one module per command, imported when it is called."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, NoReturn

from tconv import extras

if TYPE_CHECKING:
    import cyclopts

COMMANDS = {
    "explain": "Show every form of a small layer, number by number.",
    "explore": "Open a layer in the browser: every form, linked, with numbers to change.",
    "size": "Say how large the output is, and what follows from the sizes.",
    "solve": "Find every layer that turns one size into another.",
    "coverage": "Show where checkerboards and holes come from.",
    "invert": "Try to undo a transposed convolution, and say what is possible.",
    "upsample": "Enlarge a photograph with a transposed convolution.",
    "decompose": "Learn what pictures are made of, rebuild them from few parts, fill what is missing.",
    "segment": "Train networks that find what is where in images, and use them.",
    "see": "Draw what a network sees: features, and what in images sets them off.",
    "onnx": "Make ONNX models faster for ONNX Runtime.",
    "demo": "Show on a photograph what tconv does.",
    "bench": "Time tconv and its peers on the layers of published models.",
    "show-config": "Say what this installation runs on.",
}

GROUPS = ("segment", "onnx")  # commands that have commands themselves

# That bring a package; the others: explain.
EXTRAS: dict[str, extras.Extra] = {
    "torch": "torch",
    "onnx": "onnx",
    "onnxruntime": "onnx",
    "pyvips": "images",
    "skimage": "images",
}
SETUP = "--install-completion"


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run `tconv ARGUMENTS`; whatever goes wrong is one line on stderr and a non-zero exit."""
    try:
        status = run(sys.argv[1:] if arguments is None else arguments)
        sys.stdout.flush()
    except KeyboardInterrupt:
        fail("interrupted", status=130)
    except BrokenPipeError:
        # The reader of our output has left. What is still buffered must not fail once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    sys.exit(status)


def run(arguments: list[str]) -> int:
    """The command's exit status."""
    try:
        import cyclopts
        import rich  # noqa: F401  # every command prints with it
    except ModuleNotFoundError as error:
        fail(f"the command line needs {error.name}: {extras.cure('explain')}")
    from tconv import errors
    from tconv.cli.streams import with_streams
    from tconv.cli.usage import usage
    from tconv.names import reason

    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal without box-drawing characters is no reason to fail
    arguments = with_streams(arguments)
    try:
        result = _app(arguments)(arguments, exit_on_error=False, print_error=False, result_action="return_value")
    except cyclopts.CycloptsError as error:
        fail(usage(error, _commands(arguments)))
    except (errors.TconvError, OSError) as error:
        if isinstance(error, BrokenPipeError):
            raise
        fail(reason(error))
    except ImportError as error:
        fail(_missing(error))
    except Exception as error:
        if os.environ.get("TCONV_DEBUG"):
            raise
        fail(f"unexpected {type(error).__name__}: {error} (TCONV_DEBUG=1 shows where)", status=1)
    return result if isinstance(result, int) else 0


def _commands(arguments: list[str]) -> dict[str, str]:
    """Of tconv, or of the command that has commands itself."""
    if not arguments or arguments[0] not in GROUPS:
        return COMMANDS
    found: dict[str, str] = _group(arguments[0]).COMMANDS
    return found


def _group(name: str) -> Any:
    """The module of a command that has commands itself."""
    from importlib import import_module

    return import_module(f"tconv.cli.{name}")


def _missing(error: ImportError) -> str:
    """Which package is not there, and what brings it."""
    from tconv import errors

    if isinstance(error.__cause__, errors.TconvError):  # it says itself what is missing
        return str(error)
    name = str(getattr(error.__cause__ or error, "name", None))
    return f"this command needs {name}: {extras.cure(EXTRAS.get(name, 'explain'))}"


def fail(message: str, status: int = 2) -> NoReturn:
    """Say what is wrong in one line and leave."""
    from tconv.names import printable

    print("tconv: " + printable(" ".join(message.split())), file=sys.stderr)
    sys.exit(status)


def _app(arguments: list[str]) -> cyclopts.App:
    """The commands; all but the called one stand there with their summary only, and are not imported."""
    import cyclopts

    from tconv import __version__
    from tconv.wholes import whole_numbers

    app = cyclopts.App(
        name="tconv",
        help="The transposed convolution: fast, exact and understood.",
        version=__version__,
        version_flags=["--version", "-V"],
        config=whole_numbers,
        help_format="plaintext",
        suppress_keyboard_interrupt=False,
    )
    for place, (name, summary) in enumerate(COMMANDS.items()):
        module = name.replace("-", "_")
        called = name in arguments[:1] or arguments[:1] == [SETUP]  # which completes the options of all
        if called and name in GROUPS:
            app.command(getattr(_group(name), name)(arguments[1:]))
            continue
        app.command(f"tconv.cli.{module}:{module}", name=name, help=None if called else summary, sort_key=place)
    if not arguments or arguments[0] in (SETUP, "--help", "-h"):
        app.register_install_completion_command(SETUP, help="Let the shell complete commands and options.")
    return app
