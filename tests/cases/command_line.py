"""The `cellvigil` command in this process."""

import contextlib
import io
import sys
from unittest import mock

from services import main


def command_line(*words: object) -> tuple[int, str]:
    """Run a command; return its exit code and what it said."""
    said = io.StringIO()
    with (
        mock.patch.object(sys, "argv", ["cellvigil", *map(str, words)]),
        contextlib.redirect_stdout(said),
        contextlib.redirect_stderr(said),
    ):
        try:
            main.main()
        except SystemExit as ended:
            return int(ended.code or 0), said.getvalue()
    return 0, said.getvalue()
