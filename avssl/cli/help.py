"""--help, from the texts of the YAML files alone: neither hydra nor anything heavy is imported for it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from avssl.cli.arguments import OVERRIDE
from avssl.cli.configs import CONFIGS, choices, did_you_mean, near
from avssl.errors import UserError

if TYPE_CHECKING:
    from avssl.cli.command import Command
else:
    Command = Any

WIDTH = 42  # of the column of keys and values
HIDDEN = ("defaults", "hydra", "runtime", "_target_", "_partial_")
OPTIONS = """\
  -m, --multirun        a job for each of several values, as seed=0,1 or objective=er,avid; each gets a folder in `out`
  -c, --cfg job         show the config instead of running it; with --resolve without ${...}, with -p PART a part of it
  --config-dir FOLDER   a folder with YAML files of your own, as objective/my_loss.yaml
  --config-name NAME    another config than the command's
  --version, --help     GROUP=CHOICE --help shows the keys of that choice
  --                    what comes behind is no option"""


@dataclass(frozen=True)
class Key:
    """A setting, its default as the file has it, and the comment beside it."""

    name: str
    value: str
    comment: str


def help_text(spec: Command, words: Sequence[str], config_dir: Path | None) -> str:
    """What the command does, how it is called, its groups with their choices, and all of its keys."""
    folders = [CONFIGS, *([config_dir] if config_dir else [])]
    text = (CONFIGS / f"{spec.name}.yaml").read_text("utf-8")
    about, examples = head(text)
    groups = dict(groups_of(text))
    chosen = groups | dict(_chosen(words, groups, folders))
    parts = [about, "\n".join([f"usage: {spec.usage} [KEY=VALUE ...]", *examples])]
    listed = {group: choices(group, folders) for group in groups}
    if several := {group: names for group, names in listed.items() if len(names) > 1}:
        lines = [f"  {group}={chosen[group] or 'null'}\n{_wrapped(names)}" for group, names in several.items()]
        parts.append("\n".join(["Groups, GROUP=CHOICE, and what can be chosen:", *lines]))
    own = keys_of(text)
    tops = {path.partition(".")[0] for path in chosen}
    sections = [("Settings, KEY=VALUE, with their defaults:", [key for key in own if key.name not in tops])]
    set_here = {key.name for key in own}
    for group, choice in chosen.items():
        if choice is not None and group != "experiment":
            found = [key for key in keys_of_choice(group, choice, folders) if key.name not in set_here]
            sections.append((f"Of {group}={choice}:", found))
    for title, keys in sections:
        if visible := [key for key in keys if not _is_reference(key)]:
            parts.append("\n".join([title, *map(_line, visible)]))
    parts.append(f"Options:\n{OPTIONS}")
    return "\n\n".join(parts)


def head(text: str) -> tuple[str, list[str]]:
    """The sentences at the head of a config, and the examples, which are indented."""
    lines = [line[1:] for line in re.split(r"\n(?!#)", text, maxsplit=1)[0].splitlines() if not line.startswith("# @")]
    about = [line.strip() for line in lines if not line.startswith("   ")]
    return "\n".join(about), [f"  {line.strip()}" for line in lines if line.startswith("   ")]


def groups_of(text: str) -> Iterator[tuple[str, str | None]]:
    """The groups in a config's defaults list, with the choice of each."""
    for entry in yaml.safe_load(text).get("defaults", []):
        for key, choice in entry.items() if isinstance(entry, dict) else ():
            if not key.startswith("override "):
                yield key.lstrip("/"), choice


def keys_of(text: str) -> list[Key]:
    """Every key of a YAML text with its default and the comment on its line."""
    lines = text.splitlines()
    root = yaml.compose(text)
    return list(_keys(root, lines, "")) if isinstance(root, yaml.MappingNode) else []


def keys_of_choice(group: str, choice: str, folders: Sequence[Path], package: str | None = None) -> list[Key]:
    """The keys of a group's file, those that it takes from others of its defaults list included."""
    file = next(path for folder in folders if (path := folder / group / f"{choice}.yaml").is_file())
    text, package = file.read_text("utf-8"), package or group
    found: dict[str, Key] = {}
    for entry in (yaml.safe_load(text) or {}).get("defaults", []):
        if isinstance(entry, str) and entry != "_self_":
            name = entry.partition("@")[0]
            found |= {key.name: key for key in keys_of_choice(group, name, folders, package)}
    for key in keys_of(text):
        name = f"{package}.{key.name}"
        comment = key.comment or (found[name].comment if name in found else "")
        found[name] = Key(name, key.value, comment)
    return list(found.values())


def _keys(node: yaml.MappingNode, lines: list[str], prefix: str) -> Iterator[Key]:
    for name, value in node.value:
        if name.value in HIDDEN:
            continue
        key = f"{prefix}{name.value}"
        if isinstance(value, yaml.MappingNode) and not value.flow_style and value.value:
            yield from _keys(value, lines, f"{key}.")
            continue
        if isinstance(value, yaml.MappingNode):  # on one line, whose comment is about all of it
            comment = re.search(r"\s#\s*(.*)", lines[value.end_mark.line][value.end_mark.column :])
            for part in _keys(value, lines, f"{key}."):
                yield Key(part.name, part.value, comment[1].strip() if comment else "")
            continue
        start, end = value.start_mark, value.end_mark
        # A comment is behind what it is about: on the line of a value, on that of the key of a list of lines.
        line = lines[end.line if value.end_mark.line == start.line else name.start_mark.line]
        behind = line[end.column :] if end.line == start.line else line[name.end_mark.column :]
        comment = re.search(r"(?:^|\s)#\s*(.*)", behind)
        yield Key(key, _shown(value, lines), comment[1].strip() if comment else "")


def _shown(value: yaml.Node, lines: list[str]) -> str:
    """A value as the file has it, without constructors."""
    if isinstance(value, yaml.SequenceNode):
        return "[" + ", ".join(_shown(item, lines) for item in value.value) + "]"
    return value.value if isinstance(value.value, str) else str(value.value)


def _refers(value: str) -> bool:
    return re.fullmatch(r"\$\{[\w.]+\}", value) is not None


def _is_reference(key: Key) -> bool:
    """Whether it only hands on another key."""
    return not key.comment and _refers(key.value)


def _line(key: Key) -> str:
    value = "" if key.value == "???" else f"={key.value or 'null'}"
    left = f"  {key.name}{value}"
    gap = f"\n{'':<{WIDTH}}" if len(left) > WIDTH and key.comment else ""
    return f"{left:<{WIDTH}}{gap}  {key.comment}".rstrip()


def _wrapped(names: Sequence[str]) -> str:
    lines, line = list[str](), "     "
    for name in names:
        if len(line) + len(name) > 116:
            lines, line = [*lines, line], "     "
        line += f" {name}"
    return "\n".join([*lines, line])


def _chosen(words: Sequence[str], groups: dict[str, str | None], folders: Sequence[Path]) -> Iterator[tuple[str, str]]:
    """The choices among the words, so that help can show their keys."""
    for word in words:
        given = OVERRIDE.fullmatch(word)
        if given and given["key"] in groups and given["key"] != "experiment":
            group, name = given["key"], given["value"]
            known = choices(group, folders)
            if name not in known:
                meant = did_you_mean(near(name, known))
                raise UserError(f"{group}={name}: no such choice{meant}; allowed: {', '.join(known)}")
            yield group, name
