"""`python -m tconv`: the command line."""

from tconv.cli import main

main()
