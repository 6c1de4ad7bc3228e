"""What all commands share: a command line around a function of the composed config.

What a command imports stands in its function, so that help, a mistyped word and a file that is not there answer at
once:

    @command("embed", paths=(PathKey("checkpoint", RUN, "RUN"), ...))
    def main(config: Config) -> None:
        from avssl.evaluation.embed import embed
        ...
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avssl.cli.arguments import CommandLine, Options, read_options, read_words
from avssl.cli.keys import in_keys_of
from avssl.cli.mistakes import one_line
from avssl.cli.own_code import allow_named
from avssl.cli.paths import (
    EMBEDDINGS,
    FILE,
    FOLDER,
    OUT_FILE,
    OUT_FOLDER,
    RUN,
    PathKey,
    check_needed,
    check_path,
    expanded,
)
from avssl.errors import UserError

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from avssl.cli.compose import Composer

    Config = DictConfig
else:  # the test run checks annotations, and would import them
    Config = Composer = Any

__all__ = ["EMBEDDINGS", "FILE", "FOLDER", "OUT_FILE", "OUT_FOLDER", "RUN", "Config", "PathKey", "command"]


@dataclass(frozen=True)
class Command:
    """A command's name ("prep/scan"), which is its config's as well, and what its words may be."""

    name: str
    paths: tuple[PathKey, ...]
    run: Callable[[Config], None]
    check: Callable[[Config], None] | None
    rehearse: Callable[[Config], None] | None

    @property
    def program(self) -> str:
        return f"avssl-{self.name.replace('/', ' ')}"

    @property
    def usage(self) -> str:
        """As "avssl-embed RUN FOLDER out=EMB"."""
        words = [f"{path.key}={path.name}" if path.written else path.name for path in self.paths if path.name]
        return " ".join([self.program, *(f"{word} ..." if "..." in word else word for word in words)])


def command(
    name: str,
    paths: Sequence[PathKey] = (),
    *,
    check: Callable[[Config], None] | None = None,
    rehearse: Callable[[Config], None] | None = None,
) -> Callable[[Callable[[Config], None]], Callable[[], None]]:
    """Make a console entry point from a function of the composed config.

    name: of the config in configs/, and behind "avssl-" of the command.
    paths: keys that are paths. Those with a name, of what is read, can be given by their place, in this order.
    check: looks at a composed config before anything heavy is imported; raises UserError.
    rehearse: with -m, looks at that of every job before the first one runs, however heavy that is; raises UserError.

    A mistake of the user's ends in one line on stderr and status 2; anything else is a bug and keeps its traceback.
    """

    def decorate(run: Callable[[Config], None]) -> Callable[[], None]:
        spec = Command(name, tuple(paths), run, check, rehearse)

        @functools.wraps(run)
        def main() -> None:
            with one_line():
                _main(spec, sys.argv[1:])

        del main.__wrapped__  # its parameters are not those of the function
        return main

    return decorate


def _main(spec: Command, words: Sequence[str]) -> None:
    options, words = read_options(words)
    if options.version:
        from avssl import __version__

        print(f"avssl {__version__}")
        return
    config_dir = _config_dir(options)
    if options.help:
        from avssl.cli.help import help_text

        print(help_text(spec, words, config_dir))
        return
    line = read_words(words, spec.paths, spec.usage, options.multirun)
    if options.cfg is None:
        for path in spec.paths:
            for text in line.paths.get(path.key, []):
                check_path(path, text)

    from avssl.cli.compose import Composer

    composer = Composer(options.config_name or spec.name, config_dir)
    if options.cfg is not None:
        _show(composer, line.words, options)
    elif options.multirun:
        _run_jobs(spec, composer, line)
    else:
        config = composer.job(line.words)
        with composer.sentences(line.words):
            _check(spec, config)
        _run(spec, composer, config, line.words)


def _config_dir(options: Options) -> Path | None:
    if options.config_dir is None:
        return None
    folder = Path(expanded(options.config_dir))
    if not folder.is_dir():
        raise UserError(f"--config-dir={options.config_dir}: no such folder")
    return folder


def _show(composer: Composer, words: Sequence[str], options: Options) -> None:
    from avssl.cli.show import shown

    print(shown(composer, words, str(options.cfg), options.package, options.resolve))


def _check(spec: Command, config: Config) -> None:
    """Refuse what can be refused before anything heavy is imported, then what the command itself refuses."""
    from avssl.cli.compose import values_at

    keys = {key for path in spec.paths for key in (path.key, path.file_key, *path.instead) if key}
    values: Mapping[str, Any] = values_at(config, keys)
    check_needed(spec.paths, values, spec.usage)
    for path in spec.paths:
        if values.get(path.key):
            for text in values[path.key] if isinstance(values[path.key], list) else [values[path.key]]:
                check_path(path, str(text))
    if spec.check is not None:
        spec.check(config)


def _run(spec: Command, composer: Composer, config: Config, words: Sequence[str]) -> None:
    import logging

    from omegaconf import OmegaConf
    from rich.logging import RichHandler

    logging.basicConfig(format="%(message)s", handlers=[RichHandler(show_path=False, show_time=False)], force=True)
    logging.getLogger("avssl").setLevel("INFO")
    logging.captureWarnings(True)
    allow_named(OmegaConf.to_container(config))
    OmegaConf.set_readonly(config, True)
    with one_line(composer, words), in_keys_of(config):
        spec.run(config)


def _run_jobs(spec: Command, composer: Composer, line: CommandLine) -> None:
    from avssl.cli.compose import check_hydra_keys, hydra_without_plugins
    from avssl.cli.configs import choices
    from avssl.cli.sweep import Job, announce, in_own_folders, jobs_of, run_all

    def composed(jobs: Sequence[Job]) -> list[Config]:
        configs = []
        for number, job in enumerate(jobs):
            try:
                config = composer.job(job.overrides, number)
                with composer.sentences(job.overrides):
                    _check(spec, config)
            except UserError as error:
                raise UserError(f"job {number + 1} ({job.name}): {error}" if len(jobs) > 1 else str(error)) from error
            configs.append(config)
        return configs

    check_hydra_keys(line.words)
    with composer.sentences(line.words), hydra_without_plugins():
        jobs = jobs_of(line.words, lambda group: choices(group, composer.folders))
        configs = composed(jobs)
        out = next((path for path in spec.paths if path.written), None)
        places: list[str] | None = None
        if out is not None:
            alone = [str(_place(config, out)) for config in configs]
            jobs, places = in_own_folders(jobs, alone, out.key, is_file=out.kind == OUT_FILE)
            configs = configs if places == alone else composed(jobs)
        if spec.rehearse is not None:
            _rehearse(spec.rehearse, jobs, configs)
    announce(jobs, places)
    run_all(jobs, lambda number: _run(spec, composer, configs[number], jobs[number].overrides))


def _rehearse(rehearse: Callable[[Config], None], jobs: Sequence[Any], configs: Sequence[Config]) -> None:
    """Build every job as far as that needs no data. Raises UserError that names the job."""
    from omegaconf import OmegaConf

    for number, (job, config) in enumerate(zip(jobs, configs, strict=True), start=1):
        try:
            allow_named(OmegaConf.to_container(config))
            with in_keys_of(config):
                rehearse(config)
        except UserError as error:
            raise UserError(f"job {number} ({job.name}): {error}" if len(jobs) > 1 else str(error)) from error


def _place(config: Config, out: PathKey) -> object:
    """Where a job writes; of an optional place the first input's."""
    from avssl.cli.compose import values_at

    return next(filter(None, values_at(config, (out.key, *out.instead)).values()), None)
