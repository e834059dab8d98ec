"""What is known of a setting: one row of the settings table."""

from __future__ import annotations

from typing import NamedTuple

from appliance.state.setting_kinds import Kind, Value


class Setting(NamedTuple):
    """One row of the table."""

    name: str
    """The name on the command line, in topics, in the API and everywhere else."""
    kind: Kind
    title: str
    """The label on the page and in Home Assistant."""
    help: str
    """One sentence for ``--help`` and the documents, without the range."""
    icon: str
    """The Material Design icon in Home Assistant."""
    default: Value | None = None
    """The value where nothing is set; None: the model's default."""
    config: str = ""
    """Section and key in the config file, such as ``music.tempo_bpm``; "": it has none."""
    hint: str = ""
    """A few words below the control on the page."""
    model_default: str = ""
    """The attribute of :class:`appliance.state.settings.ModelDefaults` that has the default."""
    advanced: bool = False
    """Home Assistant shows it among the device's configuration."""
    in_scenes: bool = True
    """A scene that is made from the current settings has it: it belongs to the music."""
    is_kept: bool = True
    """A change survives a restart."""
    group: str = ""
    """What it belongs to on the page: "voices", "clock", or "" for the music as a whole."""
    metric: str = ""
    """Its name in ``/metrics``, without the prefix; "": a label of ``bachbox_info``."""
    metric_help: str = ""
    """The HELP line in ``/metrics``."""

    def is_default(self, shown: Value) -> bool:
        """Return whether a value, as people read it, is the table's default."""
        return self.default is not None and shown == self.kind.show(self.default)

    @property
    def section(self) -> str:
        """The section of the config file; "" if it is not configured there."""
        return self.config.partition(".")[0]

    @property
    def key(self) -> str:
        """The key in the config file; "" if it is not configured there."""
        return self.config.partition(".")[2]

    @property
    def option(self) -> str:
        """The command-line option, such as ``--top-p``; "" if there is none."""
        has_option = self.config and self.group != "clock"
        return "--" + self.name.replace("_", "-") if has_option else ""
