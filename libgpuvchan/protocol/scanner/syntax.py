# SPDX-License-Identifier: MIT
"""Lines and words: a protocol file as statements, each with the indented lines that belong to it."""

import os
import re
from dataclasses import dataclass, field
from typing import List


class ScanError(Exception):
    """What is wrong with a protocol file, as "file:line: message, what to do"."""

    def __init__(self, file, line, message):
        super().__init__(f"{getattr(line, 'file', file)}:{line}: {message}")


class Line(int):
    """A line's number that knows its file, since a protocol may have several."""

    def __new__(cls, number, file):
        line = super().__new__(cls, number)
        line.file = file
        return line


@dataclass(frozen=True)
class Word:
    text: str
    quoted: bool = False


@dataclass
class Statement:
    line: int
    words: List[Word]
    body: List["Statement"] = field(default_factory=list)


_WORD = re.compile(r'\s*(?:(?P<comment>#.*)|"(?P<string>(?:[^"\\]|\\.)*)"|(?P<bare>[^\s"#]+))')


def _split(file, line, text):
    words, at, text = [], 0, text.rstrip()
    while at < len(text):
        match = _WORD.match(text, at)
        if match is None:
            raise ScanError(file, line, 'a string does not end, close it with "')
        if match.group("string") is not None:
            words.append(Word(re.sub(r"\\(.)", r"\1", match.group("string")), quoted=True))
        elif match.group("bare") is not None:
            words.append(Word(match.group("bare")))
        at = match.end()
    return words


def _logical_lines(text):
    """Physical lines with those joined that end in a backslash; numbered by their first one."""
    pending, first = "", 0
    for number, line in enumerate(text.split("\n"), 1):
        first = first or number
        if line.endswith("\\"):
            pending += line[:-1].rstrip() + " "
            continue
        yield first, pending + (line.lstrip() if pending else line)
        pending, first = "", 0
    if pending:
        yield first, pending


def _read(file):
    try:
        with open(file, encoding="utf-8") as source:
            return source.read()
    except UnicodeDecodeError as error:
        raise ScanError(file, 1, f"byte {error.start} is not UTF-8, save the file as UTF-8") from error


def _part(file, statement, parents):
    """The statements of the file that a part statement names, relative to the one that it stands in."""
    words = statement.words
    if len(words) != 2 or not words[1].quoted or statement.body:
        raise ScanError(file, statement.line, 'a part is named by one string, as in: part "memory.gpv"')
    path = os.path.join(os.path.dirname(file), words[1].text)
    if path in parents:
        raise ScanError(file, statement.line, f"'{words[1].text}' is a part of itself, remove one of the part lines")
    try:
        return read_statements(path, parents)
    except OSError as error:
        raise ScanError(file, statement.line, f"{path}: {error.strerror}") from error


def read_statements(file, parents=()):
    """The statements of @file and its parts in order. Blank lines and comments are gone. May raise OSError."""
    statements = []
    for statement in _statements(file, _read(file)):
        if statement.words[0] == Word("part"):
            statements += _part(file, statement, (*parents, file))
        else:
            statements.append(statement)
    return statements


def _statements(file, text):
    statements = []
    for number, line in _logical_lines(text):
        number = Line(number, file)
        words = _split(file, number, line)
        if not words:
            continue
        indent = line[:len(line) - len(line.lstrip())]
        if "\t" in indent:
            raise ScanError(file, number, "a tab before the first word, indent by spaces")
        if not indent:
            statements.append(Statement(number, words))
        elif not statements:
            raise ScanError(file, number, "an indented line belongs to an entry above it, and there is none: "
                                          "begin the file with an unindented protocol line")
        else:
            statements[-1].body.append(Statement(number, words))
    return statements
