"""A command line taken apart: options, paths by their place, and the rest as overrides that hydra can read.

A path is any name that the file system allows: it never has to be written in hydra's grammar.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from avssl.cli.configs import did_you_mean
from avssl.cli.paths import FILE, PathKey, expanded, is_there
from avssl.cli.quoting import PLAIN, interpolates, parsed, quoted
from avssl.errors import UserError

OVERRIDE = re.compile(r"(?P<mark>\+{0,2})(?P<key>[A-Za-z_$@][\w$./@-]*)=(?P<value>.*)", re.ASCII | re.DOTALL)
DELETION = re.compile(r"~[A-Za-z_$@][\w$./@-]*(=.*)?", re.ASCII | re.DOTALL)
FLAGS = {
    "--help": "help",
    "-h": "help",
    "--version": "version",
    "--multirun": "multirun",
    "-m": "multirun",
    "--resolve": "resolve",
    "--run": "run",
    "-r": "run",
}
VALUES = {
    "--cfg": "cfg",
    "-c": "cfg",
    "--package": "package",
    "-p": "package",
    "--config-dir": "config_dir",
    "-cd": "config_dir",
    "--config-name": "config_name",
    "-cn": "config_name",
}
SHOWN = ("job", "hydra", "all")


@dataclass
class Options:
    """What stands on a command line besides settings."""

    help: bool = False
    version: bool = False
    multirun: bool = False
    run: bool = False  # what happens anyway
    cfg: str | None = None
    resolve: bool = False
    package: str | None = None
    config_dir: str | None = None
    config_name: str | None = None


@dataclass
class CommandLine:
    """`words` are settings and paths in the order in which they were given."""

    options: Options
    words: list[str]
    paths: dict[str, list[str]] = field(default_factory=dict)  # by key, those that were given literally


def read_options(words: Sequence[str]) -> tuple[Options, list[str]]:
    """The options, wherever they stand, and all other words. After `--` there are no options."""
    options, rest, queue = Options(), list[str](), list(words)
    while queue:
        word = queue.pop(0)
        if word == "--":
            rest += queue
            break
        name, equals, value = word.partition("=")
        if word in FLAGS:
            setattr(options, FLAGS[word], True)
        elif name in VALUES and (equals or queue):
            setattr(options, VALUES[name], value if equals else queue.pop(0))
        elif word.startswith("-") and word != "-":
            raise UserError(_no_option(word, name))
        else:
            rest.append(word)
    if options.cfg is not None and options.cfg not in SHOWN:
        raise UserError(f"--cfg={options.cfg}; allowed: {', '.join(SHOWN)}")
    for name in ("resolve", "package"):
        if getattr(options, name) and options.cfg is None:
            raise UserError(f"--{name} goes with --cfg job")
    if options.cfg and options.multirun:
        raise UserError("--cfg shows one job; allowed: without -m")
    return options, rest


def _no_option(word: str, name: str) -> str:
    if name in VALUES:
        return f"{word} needs a value"
    known = [option for option in (*FLAGS, *VALUES) if option.startswith("--")]
    meant = did_you_mean(get_close_matches(name, known, 1, 0.7) if name.startswith("--") else [])
    setting = f"; a setting is written {name[2:]}=VALUE" if name.startswith("--") and not meant else ""
    return f"{word}: no such option{meant}{setting}; allowed: {', '.join(known)}; a file of this name is ./{word}"


def read_words(words: Sequence[str], paths: tuple[PathKey, ...], usage: str, multirun: bool = False) -> CommandLine:
    """The words as overrides that hydra can read, paths in quotes. Raises UserError for a word that has no place."""
    by_place, settings = _places(words, paths, usage)
    line = CommandLine(Options(), [])
    known = {path.key: path for path in paths}
    many: dict[str, list[str]] = {}
    for path, word in by_place:
        line.paths.setdefault(path.key, []).append(word)
        if path.many:
            many.setdefault(path.key, []).append(quoted(literal(word)))
        else:
            line.words.append(f"{path.key}={quoted(literal(word))}")
    for word in settings:
        given = OVERRIDE.fullmatch(word)
        path = known.get(given["key"]) if given else None
        if given is None or path is None:
            line.words.append(readable(word))
        elif path.many:
            many.setdefault(path.key, []).extend(_values(line, path, given["value"], multirun))
        else:
            line.words.append(f"{given['mark']}{path.key}={_value(line, path, given['value'], multirun)}")
    line.words += [f"{key}=[{','.join(values)}]" for key, values in many.items()]
    return line


def _places(
    words: Sequence[str], paths: tuple[PathKey, ...], usage: str
) -> tuple[list[tuple[PathKey, str]], list[str]]:
    """Which words are paths by their place, and of which key; the others are settings.

    What looks like a setting is a path where a file has that name and a place is free.
    """
    by_key, free = set[str](), 0
    certain, maybe = set[int](), list[int]()  # places among the words
    for n, word in enumerate(words):
        given = OVERRIDE.fullmatch(word)
        if given and is_there(word):
            maybe.append(n)
        elif given:
            by_key.add(given["key"])
        elif is_there(word) or not DELETION.fullmatch(word):
            certain.add(n)
    places = [path for path in paths if path.name and not path.written and path.key not in by_key]
    free = len(maybe) if any(path.many for path in places) else max(0, len(places) - len(certain))
    certain |= set(maybe[:free])
    found, settings = list[tuple[PathKey, str]](), list[str]()
    for n, word in enumerate(words):
        if n not in certain:
            settings.append(word)
            continue
        if not places:
            raise UserError(f"{word}: neither KEY=VALUE nor one of the paths in {usage}{_without_quotes(words)}")
        path = places[0] if places[0].many else places.pop(0)
        if path.file_key and _is_file(word):
            path = PathKey(path.file_key, FILE, path.name)
        found.append((path, word))
    return found, settings


def _without_quotes(words: Sequence[str]) -> str:
    """What to say where words one after the other are the parts of a name that exists."""
    parts = ((start, end) for start in range(len(words)) for end in range(start + 2, len(words) + 1))
    names = (" ".join(words[start:end]) for start, end in parts)
    found = next((name for name in names if is_there(name)), None)
    return "" if found is None else f"; a name with blanks goes into quotes: '{found}'"


def _is_file(word: str) -> bool:
    return is_there(word) and Path(expanded(word)).is_file()


def literal(text: str) -> str:
    """A path as the config holds it; `???`, which stands for a missing value there, behind a `./`."""
    return "./???" if text == "???" else expanded(text)


def readable(word: str) -> str:
    """A setting that hydra can read: a value that is not in its grammar is taken as the text that it is."""
    given = OVERRIDE.fullmatch(word)
    if given is None or PLAIN.fullmatch(given["value"]) or parsed(word) is not None:
        return word
    value = quoted(given["value"], interpolations=interpolates(given["value"]))
    as_text = f"{given['mark']}{given['key']}={value}"
    return word if parsed(as_text) is None else as_text


def _value(line: CommandLine, path: PathKey, given: str, multirun: bool) -> str:
    """The value of a key that is a path. What exists is that; otherwise hydra's grammar holds as far as it gives text.

    The `${...}` of a new name stay interpolations unless they are part of a folder that exists.
    """
    if is_there(given) or PLAIN.fullmatch(given):
        line.paths[path.key] = [given]
        return quoted(literal(given))
    line.paths.pop(path.key, None)
    meant = parsed(f"k={given}")
    if meant is not None and multirun and meant.is_sweep_override():
        return ",".join(quoted(literal(each)) for each in _choices(meant)) or given
    text = _unquoted(meant, given) if meant is not None and not meant.is_sweep_override() else given
    if text is None:
        return "null"
    if interpolates(text) and not _is_part_of_a_folder(text):
        return quoted(expanded(text), interpolations=True)
    line.paths[path.key] = [text]
    return quoted(literal(text))


def _unquoted(meant: Any, text: str) -> str | None:
    """What hydra reads of quotes, of null and of an empty value; of all else the text itself, numbers included."""
    value = meant.value()
    in_quotes = text.strip()[:1] in ("'", '"')
    if value is None or value == "":
        return None
    return value if isinstance(value, str) and (in_quotes or is_there(value)) else text


def _choices(meant: Any) -> Iterator[str]:
    from hydra.core.override_parser.types import QuotedString

    if not isinstance(getattr(meant._value, "list", None), list):
        return
    for each in meant._value.list:
        yield each.text if isinstance(each, QuotedString) else str(each)


def _values(line: CommandLine, path: PathKey, text: str, multirun: bool) -> list[str]:
    """`_value` of a key that is a list of paths: of `[a,b]` each."""
    meant = None if is_there(text) else parsed(f"k={text}")
    if meant is not None and not meant.is_sweep_override() and isinstance(meant.value(), list):
        texts = [str(each) for each in meant.value()]
    else:
        texts = [text]
    line.paths.setdefault(path.key, []).extend(texts)
    return [quoted(literal(each), interpolations=interpolates(each) and not is_there(each)) for each in texts]


def _is_part_of_a_folder(text: str) -> bool:
    return any("${" in str(parent) and is_there(str(parent)) for parent in Path(text).parents)
