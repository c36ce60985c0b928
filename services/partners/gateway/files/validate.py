"""praktika validate: would the ingress take these events? Checked offline, by the ingress' own rules."""

import codecs
import json
import os
import re
import sys
from codecs import BOM_UTF8
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import IO, Annotated, Any, NamedTuple

import typer

from services.partners.gateway.ingress.http_binding import read_json
from services.partners.gateway.ingress.validation import check
from shared.contract import events
from shared.contract.events import DATA, Data, Event, Publisher
from shared.http.auth import Caller
from shared.http.problems import Problem
from shared.operator import console
from shared.operator.console import Json, Misused, progress, say, show
from shared.settings import Settings

from .mapping import advice

BLOCK = 64 * 1024
STANDARD = "-"
SENDERS = [kind for kind in Publisher if kind is not Publisher.service]


class Found(NamedTuple):
    """What may be an event: where it is (`line 3`, `event 3`) and its bytes, or why these cannot be one."""

    where: str
    raw: bytes | None
    unfit: str = ""


class Trouble(NamedTuple):
    """What is wrong, where, and what to do about it."""

    where: str
    field: str
    detail: str
    advice: str


def command(
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE", help="One event, an array of events, or one event a line (JSON lines). -: standard input."
        ),
    ],
    json: Json = False,
) -> None:
    """Check events without sending them: prints what the ingress would refuse, and what to do about it.

    What only the network knows is not checked: whether you are who `source` says, and whom a learner belongs to.
    """

    async def work(settings: Settings) -> int:
        report = _JsonReport() if json else _Report()
        with opened(file) as stream:
            for found in found_in(stream, file, settings.batch_max_bytes):
                report.add(found, troubles(found, settings))
        return report.end()

    console.run(work)


class _Report:
    """Prints each problem as it is found."""

    def __init__(self) -> None:
        self.events = self.refused = 0

    def add(self, found: Found, wrong: list[Trouble]) -> None:
        self.events += found.raw is not None
        self.refused += bool(wrong)
        for trouble in wrong:
            self.print(trouble)

    def print(self, trouble: Trouble) -> None:
        field = f"{trouble.field}: " if trouble.field else ""
        show(f"{trouble.where}: {field}{trouble.detail}{f' ({trouble.advice})' if trouble.advice else ''}")

    def end(self) -> int:
        if not self.events:
            say("there is no event in it")
        say(f"{self.events} events checked; problems with {self.refused}")
        return self.code()

    def code(self) -> int:
        return console.OK if self.events and not self.refused else console.DIFFERENT


class _JsonReport(_Report):
    """The same as one document, written as it comes about: a file may hold more problems than fit in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.between = '{"problems": ['

    def print(self, trouble: Trouble) -> None:
        shown = json.dumps(trouble._asdict()).replace("\x7f", "\\u007f")  # as console.show_json
        sys.stdout.write(f"{self.between}\n {shown}")
        self.between = ","

    def end(self) -> int:
        start = self.between if self.between != "," else ""
        sys.stdout.write(f'{start}],\n "events": {self.events}, "refused": {self.refused}}}\n')
        return self.code()


# what is wrong


def troubles(found: Found, settings: Settings) -> list[Trouble]:
    """What the ingress would find wrong with an event, from whoever it says that it comes."""
    if found.raw is None:
        return [Trouble(found.where, "", found.unfit, "")]
    try:
        item = read_json(found.raw)
    except Problem as problem:
        return [Trouble(found.where, "", f"{problem.detail}: {problem.errors[0][1]}".replace("line 1 ", ""), "")]
    try:
        checked(item, settings)
    except Problem as problem:
        return [Trouble(found.where, field, detail, advice(item, field)) for field, detail in problem.errors]
    return []


def checked(item: Any, settings: Settings) -> Event[Data]:
    """The ingress' check; the sender is whom the event names, of a kind that may publish it."""
    given = item if isinstance(item, dict) else {}
    data = DATA.get(str(given.get("type")))
    if data and data.by == events.SERVICE:
        raise Problem(403, "this is not yours to publish", [("type", "only Praktika's own services publish this")])
    named = re.fullmatch(r"/organisations/(.+)", str(given.get("source")))
    claimed = given.get("sourcekind")
    sender = named[1] if named else "<your id>"
    may = data.by if data else (Publisher.operator,)
    likely = Publisher.operator if sender == Publisher.operator and Publisher.operator in may else may[0]
    return check(item, Caller(sender, Publisher(claimed) if claimed in SENDERS else likely), settings)


# what is there


class Stream:
    """The bytes of a file; tells how far it is, and takes a line back."""

    def __init__(self, raw: IO[bytes], advance: Callable[[int], None]) -> None:
        self._raw, self._advance, self._back = raw, advance, b""

    def line(self, most: int) -> bytes:
        """The next line with its end; a part of it if it is longer than *most*."""
        line, self._back = self._back or self._raw.readline(most + 1), b""
        self._advance(len(line))
        return line

    def take_back(self, line: bytes) -> None:
        self._back = line
        self._advance(-len(line))

    def read(self, count: int) -> bytes:
        block, self._back = self._back + self._raw.read(count - len(self._back)), b""
        self._advance(len(block))
        return block


@contextmanager
def opened(file: str) -> Iterator[Stream]:
    path = Path(file)
    if file != STANDARD and (path.is_dir() or not os.access(path, os.R_OK)):
        raise Misused(f"{file} cannot be read")
    size = path.stat().st_size if path.is_file() else None
    with (
        nullcontext(sys.stdin.buffer) if file == STANDARD else path.open("rb") as raw,
        progress("bytes checked", size) as advance,
    ):
        yield Stream(raw, advance)


def found_in(stream: Stream, name: str, most: int) -> Iterator[Found]:
    """The events of a file that holds one, an array of them, or one a line; *most* bytes of it are held at a time."""
    number, head = 0, b""
    while not head.strip() and (head := stream.line(most)):
        number += 1
    head = head.removeprefix(BOM_UTF8)
    if head.lstrip().startswith(b"["):
        yield from _array(_Text(head, stream), most)
    elif _spans_lines(head, name, stream, most):
        yield from _one(head + stream.read(most), stream, most)
    else:
        yield from _lines(head, number, stream, most)


def _spans_lines(head: bytes, name: str, stream: Stream, most: int) -> bool:
    """Is it one event, laid out for reading? Where every line is an event, the second begins as the first does."""
    if name.endswith((".jsonl", ".ndjson")) or len(head) > most or _is_json(head):
        return False
    second = stream.line(most)
    stream.take_back(second)
    return bool(second.strip()) and not second.lstrip().startswith(b"{")


def _is_json(line: bytes) -> bool:
    try:
        read_json(line)
    except Problem:
        return False
    return True


def _one(content: bytes, stream: Stream, most: int) -> Iterator[Found]:
    if len(content) > most or stream.read(1):
        yield Found("the event", None, f"is longer than {most} bytes")
    else:
        yield Found("the event", content)


def _lines(line: bytes, number: int, stream: Stream, most: int) -> Iterator[Found]:
    while line:
        if len(line) > most:
            while not line.endswith(b"\n") and line:
                line = stream.line(BLOCK)
            yield Found(f"line {number}", None, f"is longer than {most} bytes")
        elif line.strip():
            yield Found(f"line {number}", line.rstrip(b"\r\n"))
        line, number = stream.line(most), number + 1


class _Text:
    """The rest of a stream as JSON text, of which only what is needed is read."""

    # It only finds where a value ends; what the value may be, the ingress' own reader says.
    _values = json.JSONDecoder(strict=False, parse_int=str, parse_float=str)

    def __init__(self, head: bytes, stream: Stream) -> None:
        self._decode, self._stream = codecs.getincrementaldecoder("utf-8")("surrogateescape").decode, stream
        self._text, self._at = self._decode(head), 0

    def _more(self) -> bool:
        block = self._stream.read(BLOCK)
        self._text, self._at = self._text[self._at :] + self._decode(block), 0
        return bool(block)

    def sign(self) -> str:
        """The next character that is no blank; none at the end."""
        while True:
            while (sign := self._text[self._at : self._at + 1]) and sign in " \t\r\n":
                self._at += 1
            if sign or not self._more():
                return sign

    def skip(self) -> None:
        self._at += 1

    def value(self, most: int) -> bytes | None:
        """The value that comes next; None: it is none, or does not end within *most* characters."""
        while True:
            try:
                end = self._values.raw_decode(self._text, self._at)[1]
            except (ValueError, RecursionError):
                if len(self._text) - self._at > most or not self._more():
                    return None
                continue
            value, self._at = self._text[self._at : end], end
            return value.encode(errors="surrogateescape")


def _array(text: _Text, most: int) -> Iterator[Found]:
    number, sign = 0, ","
    text.skip()
    while sign == "," and not (text.sign() == "]" and number == 0):
        number += 1
        raw = text.value(most)
        if raw is None:
            yield Found(f"event {number}", None, "is not JSON or does not end; nothing from there on was checked")
            return
        yield Found(f"event {number}", raw)
        sign = text.sign()
        if sign == ",":
            text.skip()
            text.sign()
    if text.sign() != "]":
        yield Found(f"event {number}", None, "is not followed by a comma or a bracket; nothing behind it was checked")
        return
    text.skip()
    if text.sign():
        yield Found("the end", None, "something follows the array; it was not checked")
