"""The formats that :func:`load` knows; ``register`` adds one without editing any of ours."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydantic

from lrdgraph.corpus import Corpus
from lrdgraph.errors import ConfigError, DataError, nearest, same


@dataclass(frozen=True)
class Loader:
    """How one format is recognised and read.

    Attributes:
        name: what ``format=`` calls it.
        looks_for: what marks the format, in a few words, for messages.
        recognises: whether a path (which need not exist) is of this format; quick, and never raises.
        load: ``load(path, **options) -> Corpus``; its keyword parameters are the options there are.
        refines: the format of which this one is a special case: where both recognise a path, this one is taken.
        frames: whether ``load`` takes a data frame in place of a path.
    """

    name: str
    looks_for: str
    recognises: Callable[[Path], bool]
    load: Callable[..., Corpus]
    refines: str | None = None
    frames: bool = False

    @property
    def options(self) -> tuple[str, ...] | None:
        """Names of the options; None where ``load`` takes any."""
        parameters = list(inspect.signature(self.load).parameters.values())[1:]
        if any(p.kind is p.VAR_KEYWORD for p in parameters):
            return None
        return tuple(p.name for p in parameters)


_loaders: dict[str, Loader] = {}


def register(loader: Loader) -> Loader:
    """Make a format known to :func:`load`.

    Raises:
        ConfigError: another loader has that name; the same one, defined anew in a notebook, takes its place.
    """
    if loader.name in _loaders and not same(_loaders[loader.name].load, loader.load):
        raise ConfigError(f"There is a loader named '{loader.name}' already; choose another name.")
    _loaders[loader.name] = loader
    return loader


def loaders() -> dict[str, Loader]:
    """The registered loaders by name, in order of registration."""
    return dict(_loaders)


def load(source: str | Path | Any, format: str | None = None, **options: Any) -> Corpus:
    """Read a data set.

    Args:
        source: a folder or file, or the name of a data set that a loader can fetch (``"movielens-100k"``); or a data
            frame of interactions, which the format ``tables`` reads.
        format: a registered format; by default the one that recognises ``source``.
        options: what the format's loader takes besides the path.

    Raises:
        DataError: no format or several recognise the source, or the files do not hold what the format demands.
        ConfigError: the format or an option does not exist.
    """
    path = Path(source).expanduser() if isinstance(source, str | Path) else None
    loader = _named(format) if format is not None else _recognised(path) if path is not None else _for_frames()
    if path is None and not loader.frames:
        raise ConfigError(f"Format '{loader.name}' reads files, got {type(source).__name__}; give a path.")
    known = loader.options
    for option in options:
        if known is not None and option not in known:
            takes = f"it takes {', '.join(known)}" if known else "it takes none"
            raise ConfigError(f"Format '{loader.name}' has no option '{option}'{nearest(option, known)}; {takes}.")
    options |= _checked(loader, options)
    return loader.load(source if path is None else path, **options)


def _checked(loader: Loader, options: dict[str, Any]) -> dict[str, Any]:
    """Values as the hints of the loader have them, ``"5"`` as 5; a hint that cannot be resolved is not checked.

    Raises:
        ConfigError: a value is of another type.
    """
    found = {}
    with suppress(NameError, pydantic.errors.PydanticUserError):
        parameters = inspect.signature(loader.load, eval_str=True).parameters
        for option in options.keys() & parameters.keys():
            hint = parameters[option].annotation
            try:
                kind = pydantic.TypeAdapter(Any if hint is inspect.Parameter.empty else hint)
                found[option] = kind.validate_python(options[option])
            except pydantic.ValidationError:
                expected = inspect.formatannotation(hint)
                raise ConfigError(
                    f"Option '{option}' of format '{loader.name}' must be {expected}, got {options[option]!r}."
                ) from None
    return found


def _named(name: str) -> Loader:
    if name not in _loaders:
        raise ConfigError(f"There is no format '{name}'{nearest(name, _loaders)}; known are {', '.join(_loaders)}.")
    return _loaders[name]


def _for_frames() -> Loader:
    return next(loader for loader in _loaders.values() if loader.frames)


def _recognised(path: Path) -> Loader:
    found = [loader for loader in _loaders.values() if loader.recognises(path)]
    found = [loader for loader in found if not any(other.refines == loader.name for other in found)]
    if len(found) == 1:
        return found[0]
    if found:
        names = " and ".join(loader.name for loader in found)
        raise DataError(f"{path} looks like {names} at once; say which with format='{found[0].name}'.")
    if not path.exists():
        raise DataError(f"{path} does not exist; check the path.")
    known = "; ".join(f"{loader.name}: {loader.looks_for}" for loader in _loaders.values())
    raise DataError(f"{path} is in no known format ({known}); rename its files or register a loader.")
