"""A user's mistake as one line on stderr and exit status 2; anything else is a bug and keeps its traceback."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

from avssl.cli.configs import choices, did_you_mean, near, near_key
from avssl.errors import UserError

if TYPE_CHECKING:
    from avssl.cli.compose import Composer
else:
    Composer = Any

MISTAKE, INTERRUPTED = 2, 130


class HydraMistake(Exception):
    """A wrong override for which hydra has no error of its own."""


@contextmanager
def one_line(composer: Composer | None = None, words: Sequence[str] = ()) -> Iterator[None]:
    """Exit with status 2 after one line, about a config of that composer where one is given."""
    try:
        yield
    except UserError as error:
        fail(str(error))
    except BrokenPipeError:  # the reader of stdout, as `head`, has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        if error.filename is None:
            raise
        fail(f"{error.filename}: {error.strerror}")
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except Exception as error:
        if not _is_hydras(error):
            raise
        fail(hydra_sentence(error, composer, words))


def fail(sentence: str) -> NoReturn:
    print(f"error: {on_one_line(sentence)}", file=sys.stderr)
    sys.exit(MISTAKE)


def on_one_line(text: str) -> str:
    """Names may hold anything: line ends and other control characters are shown as Python writes them."""
    return "".join(c if c.isprintable() or "\udc80" <= c <= "\udcff" else repr(c)[1:-1] for c in text)


def _is_hydras(error: Exception) -> bool:
    """Whether hydra or OmegaConf raised it; where neither is imported, nothing is."""
    kinds = [("hydra.errors", "HydraException"), ("omegaconf.errors", "OmegaConfBaseException")]
    loaded = [getattr(sys.modules[module], name) for module, name in kinds if module in sys.modules]
    return isinstance(error, tuple(loaded))


def hydra_sentence(error: Exception, composer: Composer | None, words: Sequence[str]) -> str:
    """hydra's or OmegaConf's error in our words: what is wrong, what was probably meant, what is allowed."""
    text, cause = str(error), error.__cause__
    told = _by_kind(error, composer, words) or _by_text(text, composer, words)
    if told is None and isinstance(cause, Exception):
        told = _by_kind(cause, composer, words) or _by_text(str(cause), composer, words)
    return told or _plain(f"{text}: {cause}" if text and cause else text or str(cause))


def _by_kind(error: Exception, composer: Composer | None, words: Sequence[str]) -> str | None:
    from hydra.errors import InstantiationException, OverrideParseException
    from omegaconf.errors import GrammarParseError, InterpolationKeyError, MissingMandatoryValue

    match error:
        case MissingMandatoryValue():
            key = getattr(error, "full_key", None) or str(error).rpartition(" ")[2]
            return f"{key} is missing: give {key}=VALUE"
        case InstantiationException():
            return instantiation(error)
        case OverrideParseException():
            return f"{error.override}: not understood; allowed: KEY=VALUE, where a KEY is names joined by dots"
        case InterpolationKeyError():
            return _interpolation(error, composer, words)
        case GrammarParseError():
            return rf"{_key_of(error)}not understood behind a `${{`; a `${{` that is text is written \${{"
    return None


def _by_text(text: str, composer: Composer | None, words: Sequence[str]) -> str | None:
    """By what hydra writes, which has one class for most of its errors."""

    def key_is(key: str) -> str:
        return unknown_key(key, composer, words)

    def no_name() -> str:
        """A group's choice that hydra reads as a number or null."""
        wrong = (word for word in words if composer and composer.is_group(word.partition("=")[0]) and _no_name(word))
        return _choice(next(wrong).replace("=", "/", 1), composer)

    def several(word: str) -> str:
        key, _, value = word.partition("=")
        as_list = "" if "(" in value else f", or a list as {key}=[{value}]"
        return f"{word}: several values; allowed: one, or -m to run a job for each{as_list}"

    known: dict[str, Callable[..., str]] = {
        r"Could not (?:find|load) '([^']+)'": lambda path: _choice(path, composer),
        "Config group override must be": no_name,
        r"Could not override '([^'@]+)": key_is,
        "config group '([^']+)' does not": key_is,
        r"Key '[^']+' is not in struct\s+full_key: (\S+)": key_is,
        r"Could not delete from config\. '([^']+)'": lambda key: key_is(f"~{key}"),
        r"The value of '([^']+)' is (.*) and not (.*)\.": lambda k, is_, v: f"~{k}={v}: it is {is_}; allowed: ~{k}",
        r"An item is already at '([^']+)'": lambda key: f"+{key}: it is there already; allowed: {key}=VALUE",
        r"Multiple values for ([^.\s]+)\.": lambda key: f"+{key}: it is there already; allowed: {key}=VALUE",
        r"(?s:argument|parameters) '(.*)'(?:\n| requires --multirun)": several,
        r"Cannot find primary config '([^']+)'": lambda name: (
            f"--config-name={name}: no such file; allowed: one in configs/ or --config-dir"
        ),
    }
    for pattern, sentence in known.items():
        if found := re.search(pattern, text):
            return sentence(*found.groups())
    return None


def _no_name(word: str) -> bool:
    from avssl.cli.quoting import parsed

    meant = parsed(word)
    return meant is not None and not isinstance(meant.value(), str | list)


def _plain(text: str) -> str:
    """The first line of a text, or of OmegaConf's facts those that tell the key."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " ".join(line for line in lines if not line.startswith("object_type=")) or text


def _key_of(error: Exception) -> str:
    key = getattr(error, "full_key", None) or (re.search(r"full_key: (\S+)", str(error)) or [None, None])[1]
    return f"{key}: " if key else ""


def _choice(path: str, composer: Composer | None) -> str:
    """`objective/avdi` is no file: what else its group has."""
    folders = composer.folders if composer else []
    group, _, name = path.rpartition("/")
    while group and composer and not composer.is_group(group):
        group = group.rpartition("/")[0]
    while "/" in group and composer and composer.is_group(group.rpartition("/")[0]):
        group = group.rpartition("/")[0]  # paper/nix is looked for among all experiments
    if not group:
        return f"{path}: no such file in configs/ or --config-dir"
    name = path.removeprefix(f"{group}/")
    known = choices(group, folders)
    return f"{group}={name}: no such choice{did_you_mean(near(name, known))}; allowed: {', '.join(known)}"


def unknown_key(key: str, composer: Composer | None, words: Sequence[str]) -> str:
    keys = composer.keys(words) if composer else []
    bare = key.lstrip("~")
    parent, beside = bare, list[str]()
    while parent and not beside:
        parent = parent.rpartition(".")[0]
        beside = [known for known in keys if known.rpartition(".")[0] == parent]
    allowed = f"; allowed: {', '.join(beside)}" if beside else ""
    return f"{key}: no such key{did_you_mean(near_key(bare, keys))}{allowed}"


def _interpolation(error: Exception, composer: Composer | None, words: Sequence[str]) -> str:
    missing = re.search(r"Interpolation key '([^']+)' not found", str(error))
    if missing is None:
        return f"{_key_of(error)}{_plain(str(error))}"
    keys = composer.keys(words) if composer else []
    name = missing[1]
    hint = rf"text as it is: \${{{name}}}"
    return f"{_key_of(error)}${{{name}}} names no key{did_you_mean(near_key(name, keys))}; {hint}"


def instantiation(error: Exception, parent: str = "") -> str:
    """The constructor's own sentence, behind the key it was called for; `parent` is that of the node it lies in."""
    inside = re.search(r"full_key: (\S+)", str(error))
    key = ".".join(filter(None, [parent, inside[1] if inside else ""]))
    cause = error.__cause__ or error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    prefix = f"{key}." if key and isinstance(cause, ValueError) else f"{key}: " if key else ""
    return prefix + str(cause).splitlines()[0]
