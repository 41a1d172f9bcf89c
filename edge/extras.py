"""Which extra of the distribution brings a package that is not installed."""

from __future__ import annotations

# By the names under which they are imported.
_EXTRAS = {
    "edge": ("ai_edge_litert", "httpx", "paho", "google", "pymodbus", "serial", "tomli_w", "gpiozero", "lgpio", "luma"),
    "cloud": ("jinja2", "rich", "starlette", "uvicorn"),
    "opcua": ("asyncua", "cryptography"),
    "train": ("flatbuffers", "sklearn", "threadpoolctl", "xgboost"),
}


def words_of_missing(error: ModuleNotFoundError) -> str:
    """What a person reads who has yet to install it; nothing where it is none of ours."""
    package = (error.name or "").partition(".")[0]
    extra = next((extra for extra, packages in _EXTRAS.items() if package in packages), None)
    return "" if extra is None else f"{package}: the package is not installed (pip install 'babbitt[{extra}]')"
