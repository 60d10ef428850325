"""Gives Label Studio's database connections settings for which it has no variables."""

from django.db.utils import ConnectionHandler

configure = ConnectionHandler.configure_settings


def configure_settings(self, databases):
    settings = configure(self, databases)
    settings["default"].update(CONNECTION)
    return settings


ConnectionHandler.configure_settings = configure_settings
