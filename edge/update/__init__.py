"""What runs, changed as a trial: configurations and bundles, kept if they hold, else gone back from by itself.

Configurations: ``difference`` and ``coverage`` are pure; ``versions`` is what lies on disk; ``trials`` is the room.
Bundles: ``orders`` and ``telling`` are pure; ``shelf`` and ``seats`` are what lies on disk; ``bundles`` is the room.
What the cloud wants: ``asking`` learns of it for all; ``downlink`` is the room, and hands on what is for others;
``configured`` has a configuration tried.
"""

from edge.update.asking import Asker
from edge.update.bundles import Bundles
from edge.update.configured import Configured
from edge.update.downlink import Downlink
from edge.update.records import TrackRecords
from edge.update.refusing import Refusing
from edge.update.seats import Seats
from edge.update.shelf import FOLDER as BUNDLES
from edge.update.shelf import Shelf
from edge.update.trials import Trials, former
from edge.update.versions import Index, Versions, config_folder, data_dir_of, recover, user

__all__ = [
    "BUNDLES",
    "Asker",
    "Bundles",
    "Configured",
    "Downlink",
    "Index",
    "Refusing",
    "Seats",
    "Shelf",
    "TrackRecords",
    "Trials",
    "Versions",
    "config_folder",
    "data_dir_of",
    "former",
    "recover",
    "user",
]
