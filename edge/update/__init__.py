"""Configuration as a trial: what differs, run it for some minutes, keep it if coverage holds, else go back by itself.

``difference`` and ``coverage`` are pure; ``versions`` is what lies on disk; ``trials`` is the room.
"""

from edge.update.trials import Trials, former
from edge.update.versions import Index, Versions, config_folder, data_dir_of, recover, user

__all__ = ["Index", "Trials", "Versions", "config_folder", "data_dir_of", "former", "recover", "user"]
