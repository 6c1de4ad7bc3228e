"""--help is made from the YAML files, says what each key is for, and lists what the command itself has."""

from __future__ import annotations

import re

import pytest

from avssl.cli.configs import CONFIGS, choices
from avssl.cli.help import head, keys_of, keys_of_choice

TASKS = ("scan", "preview", "pack", "stats", "clocks")
COMMANDS = ("train", "embed", "eval", "search", *(f"prep {task}" for task in TASKS))


def helped(run, command: str, *words: str) -> str:
    name, *task = command.split()
    done = run(name, *task, *words, "--help")
    assert (done.status, done.err) == (0, "")
    return done.out


@pytest.mark.parametrize("command", COMMANDS)
def test_help_says_what_the_command_does_and_gives_three_examples(run, command: str):
    text = helped(run, command)
    assert re.match(r"[A-Z][^\n]+\.\n", text)
    assert len(re.findall(rf"^  avssl-{command} \S", text, re.MULTILINE)) >= 3
    assert f"usage: avssl-{command} " in text
    assert "_target_" not in text


@pytest.mark.parametrize("command", COMMANDS)
def test_every_key_has_its_comment(command: str):
    keys = keys_of((CONFIGS / f"{command.replace(' ', '/')}.yaml").read_text())
    assert [key.name for key in keys if not key.comment and not key.value.startswith("${")] == []


@pytest.mark.parametrize("group", ["data", "objective", "optim", "trainer"])  # branches are written anew
def test_every_key_of_a_group_has_its_comment(group: str):
    for choice in choices(group):
        for key in keys_of_choice(group, choice, [CONFIGS]):
            assert key.comment or key.value.startswith("${"), key


def test_every_key_of_the_composed_config_is_in_the_help(run):
    from omegaconf import OmegaConf

    from avssl.cli.compose import compose

    text = helped(run, "train")
    plain = OmegaConf.to_container(compose("train"))

    def leaves(node, prefix=""):
        for key, value in node.items():
            if isinstance(value, dict) and value:
                yield from leaves(value, f"{prefix}{key}.")
            elif not key.startswith("_") and not re.fullmatch(r"\$\{[\w.]+\}", str(value)) and prefix != "runtime.":
                yield f"{prefix}{key}"

    assert [key for key in leaves(plain) if not re.search(rf"^  {re.escape(key)}\b", text, re.MULTILINE)] == []


def test_only_a_commands_own_groups_are_listed(run):
    assert "Groups" not in helped(run, "eval") + helped(run, "search") + helped(run, "embed") + helped(run, "prep scan")
    text = helped(run, "train")
    for group in ("data", "branches", "objective", "optim", "experiment"):
        assert f"\n  {group}=" in text
    assert "paper/cma_kinetics" in text
    assert "hydra" not in text.replace("${hydra:runtime.choices.objective}", "")
    assert "\n  data=folder" in helped(run, "prep preview")


def test_help_shows_the_keys_of_a_choice(run):
    text = helped(run, "train", "objective=er", "data=images")
    assert "  objective.kappa=10.0" in text
    assert "data.views.audio" not in text
    done = run("train", "objective=avdi", "--help")
    assert (done.status, done.out) == (2, "")
    assert "did you mean avid?" in done.err


def test_prep_lists_its_tasks(run):
    done = run("prep", "--help")
    for task in TASKS:
        assert f"\n{task}: " in done.out
    assert run("prep", "--version").out == run("train", "--version").out == "avssl 0.1.0\n"


def test_a_comment_on_the_line_of_a_list_of_lines_and_in_braces():
    text = "a:  # first\n  - 1\n  - 2\nb: {c: 1, d: x}  # both\ne: 'a # b'\nf: \"${a}\"  # last\n"
    found = [(key.name, key.value, key.comment) for key in keys_of(text)]
    assert found == [
        ("a", "[1, 2]", "first"),
        ("b.c", "1", "both"),
        ("b.d", "x", "both"),
        ("e", "a # b", ""),
        ("f", "${a}", "last"),
    ]
    assert head("# @package _global_\n# What.\n#   avssl-x  # y\na: 1\n") == ("What.", ["  avssl-x  # y"])
