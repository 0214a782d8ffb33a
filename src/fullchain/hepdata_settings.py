"""Settings that all records for HEPData have."""

from pydantic import Field

from fullchain.model import SettingsModel


class LicenceSettings(SettingsModel):
    """Under which terms the numbers may be used."""

    name: str = Field("CC0 1.0", description="name of the licence")
    url: str = Field(
        "https://creativecommons.org/publicdomain/zero/1.0/", description="where its text stands"
    )
