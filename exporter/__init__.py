"""redpoll: a Redis exporter for Prometheus that polls in the background and answers from memory."""

__version__ = "0.1.0"
__all__ = ["Exporter", "RedisCollector", "__version__", "read_clients", "render_info"]

#: public name → the module that has it, which is loaded when the name is first used
_MODULES = {
    "Exporter": "exporter.library.embedded",
    "RedisCollector": "exporter.library.registry",
    "read_clients": "exporter.library.replies",
    "render_info": "exporter.library.replies",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    value = globals()[name] = getattr(importlib.import_module(_MODULES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
