"""How the demo looks: acts, sentences, rows of a table and quotations, on a terminal or in a file."""

import os
import sys
import textwrap

WIDTH = 88


class Failed(Exception):
    """The demo did not show what it claims; the text says what instead."""


_COLOUR = sys.stdout.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"
_CODES = {"bold": "1", "red": "31", "green": "32", "dim": "2"}


def paint(style, text):
    return f"\033[{_CODES[style]}m{text}\033[0m" if _COLOUR else text


def act(number, title):
    print(f"\n{paint('bold', f'{number}  {title}')}")


def say(text, indent=3):
    for paragraph in text.split("\n"):
        print(textwrap.fill(paragraph, WIDTH, initial_indent=" " * indent, subsequent_indent=" " * indent))


def row(name, word, style, rest):
    """One line of a table: the name, a coloured word, and what follows."""
    print(f"   {name:<31} {paint(style, f'{word:<8}')} {rest}")


def quote(text):
    """Somebody else's words, set off by a bar; long lines are broken, never cut."""
    for line in text.rstrip("\n").split("\n"):
        hang = " " * (len(line) - len(line.lstrip()) + 2)
        for part in textwrap.wrap(line, WIDTH - 5, subsequent_indent=hang, break_on_hyphens=False) or [""]:
            print(f"   {paint('dim', '|')} {part}".rstrip())
