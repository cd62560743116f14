from exporter.library.embedded import Exporter as Exporter
from exporter.library.registry import RedisCollector as RedisCollector
from exporter.library.replies import read_clients as read_clients
from exporter.library.replies import render_info as render_info

__version__: str
__all__ = ["Exporter", "RedisCollector", "__version__", "read_clients", "render_info"]
