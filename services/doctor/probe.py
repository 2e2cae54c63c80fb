"""Ask a library a question in a process of its own, where it may print, hang or crash as it likes."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Answer:
    """What the process said: `output` is its last line when it ended well, else everything it printed."""

    succeeded: bool
    output: str


def ask_python(code: str, timeout_s: float, variables: Mapping[str, str] | None = None) -> Answer:
    """Run Python code with this interpreter and return its last printed line, or what went wrong."""
    return ask([sys.executable, "-c", code], timeout_s, variables)


def ask(command: Sequence[str], timeout_s: float, variables: Mapping[str, str] | None = None) -> Answer:
    """Run a command with further environment variables; return its last printed line, or what went wrong.

    >>> ask_python("print('noise'); print(6 * 7)", 10.0)
    Answer(succeeded=True, output='42')
    """
    try:
        done = subprocess.run(
            list(command),
            env={**os.environ, **(variables or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
        )
    except subprocess.TimeoutExpired:
        return Answer(False, f"no answer within {timeout_s:.0f} s")
    except OSError as error:
        return Answer(False, str(error))
    if done.returncode != 0:
        everything = f"{done.stdout}\n{done.stderr}".strip()
        return Answer(False, everything or f"ended with code {done.returncode} and said nothing")
    lines = done.stdout.strip().splitlines()
    return Answer(True, lines[-1] if lines else "")
