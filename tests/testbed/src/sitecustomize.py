"""Gives Label Studio settings for which it has no variables."""

import os
from pathlib import Path

from django.conf import Settings
from django.db.utils import ConnectionHandler

configure = ConnectionHandler.configure_settings
initialize = Settings.__init__


def configure_settings(self, databases):
    settings = configure(self, databases)
    settings["default"].update(CONNECTION)
    return settings


def with_workers(self, module):
    """Jobs go to workers by Redis, imports among them."""
    initialize(self, module)
    self.REDIS_ENABLED = True
    for queue in self.RQ_QUEUES.values():
        queue.update(HOST="127.0.0.1", PORT=int(os.environ["REDIS_PORT"]))
    # Imports are jobs in every edition but one, which looks for its flags by the edition's name.
    self.VERSION_EDITION = "Workers"
    self.FEATURE_FLAGS_FILE = str(Path(self.BASE_DIR).parent / "feature_flags.json")


ConnectionHandler.configure_settings = configure_settings
if "REDIS_PORT" in os.environ:
    Settings.__init__ = with_workers
