"""Settings: every room's small frozen model composed into one; the only place that reads YAML and the environment.

Precedence: command line > `CELLVIGIL__SECTION__KEY` environment > YAML file > default. Unknown keys are refused.
"""

import hashlib
import logging
from datetime import time
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    YamlConfigSettingsSource,
)

from monitor.culture.settings import CultureSettings
from monitor.errors import SettingsError
from services.state_folder import StateFolder

Seconds = Annotated[float, Field(gt=0.0)]
RING_OF_0_1_0 = frozenset(("ring_mb", "slot_mb"))


class Section(BaseModel):
    """Base of a settings section: frozen, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class WatchSettings(Section):
    """Where frames appear and when one counts as complete.

    layout: name of a preset or a path pattern with named groups (`cellvigil layout check` shows what it finds);
    channel: the one that is segmented, as the layout finds it in the name; None takes all, which is right only where
    every image is phase contrast;
    settle_s: size and mtime must hold still this long (network_settle_s on network file systems);
    deadline_s: a file that is not readable after this long goes to quarantine;
    rescan_s: how often the folder is compared with the ledger, whatever the events said;
    expected_interval_s: time between frames of a position; None learns it from the flask's own frames;
    max_frame_bytes: a frame whose header declares more is refused before it is decoded.
    """

    folder: Path = Path("frames")
    layout: str = "flask-position-time"
    channel: str | None = None
    samples: Path | None = None
    pixel_size_um: Annotated[float, Field(gt=0.0)] | None = None
    settle_s: Seconds = 2.0
    network_settle_s: Seconds = 10.0
    deadline_s: Seconds = 600.0
    rescan_s: Seconds = 60.0
    observer: Literal["auto", "events", "polling"] = "auto"
    poll_s: Seconds = 5.0
    expected_interval_s: Seconds | None = None
    silent_intervals: Annotated[float, Field(ge=1.0)] = 3.0
    max_frame_bytes: Annotated[int, Field(gt=0)] = 512 * 1024 * 1024


class HealthSettings(Section):
    """When something beside the pictures is in trouble.

    lag_s: longest that a frame may wait for its estimate; clock_skew_s: how far in the future a frame may say that it
    comes from; disk_least_gib: room on the disk of the state folder; frozen_copies: copies of a position's newest frame
    in a row, under new names, that make its picture frozen; look_s: how often all this is looked at.
    """

    lag_s: Seconds = 1800.0
    clock_skew_s: Seconds = 300.0
    disk_least_gib: Annotated[float, Field(ge=0.0)] = 1.0
    frozen_copies: Annotated[int, Field(ge=1)] = 3
    look_s: Seconds = 60.0


class ServerSettings(Section):
    """Which queue server to use; without `url` a project server in the state folder is started or attached."""

    url: str | None = None
    prefix: str = "cellvigil:"


class DeliverySettings(Section):
    """How the consume loop behaves.

    claim_idle_s: an entry idle this long is taken over even if its consumer still beats;
    beat_s: heartbeat period; a consumer is gone when it has not beaten for three periods;
    max_solo_attempts: an entry that was attempted alone this often without an outcome is a dead letter.
    """

    claim_idle_s: Seconds = 600.0
    beat_s: Seconds = 2.0
    block_s: Seconds = 1.0
    max_solo_attempts: Annotated[int, Field(ge=1)] = 3


class SegmenterSettings(Section):
    """How frames are segmented.

    threads: None leaves the count to torch; weights: None takes the default ones, `laboratories` the others that come
    with the package.
    engine: what runs the network; `auto` takes the fastest that is there and agrees with eager.
    """

    engine: Literal["auto", "eager", "compiled", "tensorrt", "openvino", "openvino-bf16", "openvino-int8"] = "auto"
    batch_size: Annotated[int, Field(ge=1, le=64)] = 8
    weights: Path | None = None
    threads: Annotated[int, Field(ge=1)] | None = None
    replicas: Annotated[int, Field(ge=1)] = 1


class PredictorSettings(Section):
    """How masks become estimates; flasks are spread over `partitions` streams, which `replicas` processes share."""

    batch_size: Annotated[int, Field(ge=1, le=64)] = 8
    partitions: Annotated[int, Field(ge=1, le=256)] = 4
    replicas: Annotated[int, Field(ge=1)] = 1
    model: Path | None = None


class WebhookSettings(Section):
    """One receiver of alarms; `secret_file` holds the HMAC key, never the settings themselves."""

    url: str
    secret_file: Path
    allow_private: bool = False
    timeout_s: Seconds = 10.0


class MailSettings(Section):
    """One mail server and whom to write to; the password lies in `password_file`, never in the settings themselves.

    security: starttls and tls check the server's certificate; none is for a server on this machine.
    """

    host: str
    port: Annotated[int, Field(ge=1, le=65535)] = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    user: str | None = None
    password_file: Path | None = None
    sender: str
    recipients: Annotated[tuple[str, ...], Field(min_length=1)]
    timeout_s: Seconds = 20.0


class MqttSettings(Section):
    """One MQTT broker; without `tls` only on this machine."""

    host: str
    port: Annotated[int, Field(ge=1, le=65535)] = 8883
    tls: bool = True
    topic: Annotated[str, Field(min_length=1, max_length=1000, pattern=r"^[^+#\x00]+$")] = "cellvigil/alarms"
    user: str | None = None
    password_file: Path | None = None
    client_id: Annotated[str, Field(min_length=1, max_length=23)] = "cellvigil"
    timeout_s: Seconds = 10.0


class NotifierSettings(Section):
    """Who is told; failed deliveries are retried from `retry_first_s`, doubling up to `retry_most_s`.

    flood_most: notifications to a receiver in `flood_window_s`, never more; the first `flood_singly` of them tell of
    one change each, later ones of everything that waits; repeat_s: how often an alarm is told again that nobody has
    acknowledged; test_at: when, UTC, a test alarm goes to everybody each day.
    """

    webhooks: tuple[WebhookSettings, ...] = ()
    mail: tuple[MailSettings, ...] = ()
    mqtt: tuple[MqttSettings, ...] = ()
    apprise_file: Path | None = None
    terminal: bool = True
    retry_first_s: Seconds = 5.0
    retry_most_s: Seconds = 3600.0
    give_up_after_s: Seconds = 86_400.0
    repeat_s: Seconds | None = 14_400.0
    test_at: time | None = None
    flood_most: Annotated[int, Field(ge=2)] = 10
    flood_singly: Annotated[int, Field(ge=1)] = 5
    flood_window_s: Seconds = 600.0

    @model_validator(mode="after")
    def _room_for_groups(self) -> "NotifierSettings":
        if self.flood_singly >= self.flood_most:
            message = f"flood_singly {self.flood_singly} leaves no room for groups; set it below flood_most"
            raise ValueError(f"{message} {self.flood_most}")
        return self


class DashboardSettings(Section):
    """The operator's page.

    enabled: whether `cellvigil run` starts it; hosts: names, beside addresses, `localhost` and this machine's own, by
    which browsers reach it: a request for another name is refused; local_access: without users, whoever is on this
    machine may do everything; behind_tls: a proxy on the way speaks https to browsers; tls_certificate, tls_key: PEM
    files, to speak it itself; session_idle_h, session_most_h: when a sign-in ends; live_most: open tabs.
    """

    enabled: bool = False
    host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8765
    hosts: tuple[str, ...] = ()
    local_access: bool = True
    behind_tls: bool = False
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    session_idle_h: Annotated[float, Field(gt=0.0)] = 12.0
    session_most_h: Annotated[float, Field(gt=0.0)] = 720.0
    live_most: Annotated[int, Field(ge=1)] = 64

    @model_validator(mode="after")
    def _certificate_with_key(self) -> "DashboardSettings":
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key go together; give both, or neither")
        return self

    @property
    def secure(self) -> bool:
        """Whether browsers speak https to it."""
        return self.behind_tls or self.tls_certificate is not None

    @property
    def scheme(self) -> str:
        """What it speaks itself: a proxy may speak https before it."""
        return "http" if self.tls_certificate is None else "https"


class ClockSettings(Section):
    """The culture's clock; `speed` other than 1 needs `origin` and `started` and is for demos and replays only.

    pace: file by which somebody leads the clock, see `PacedClock`; `started` is not needed then.
    """

    speed: Annotated[float, Field(gt=0.0)] = 1.0
    origin: AwareDatetime | None = None
    started: AwareDatetime | None = None
    pace: Path | None = None


class Settings(BaseSettings):
    """Everything that can be set; see configs/default.yaml for the values with their comments."""

    model_config = SettingsConfigDict(
        env_prefix="CELLVIGIL__",
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        nested_model_default_partial_update=True,
    )

    state: Path = Path("state")
    watch: WatchSettings = WatchSettings()
    health: HealthSettings = HealthSettings()
    server: ServerSettings = ServerSettings()
    delivery: DeliverySettings = DeliverySettings()
    segmenter: SegmenterSettings = SegmenterSettings()
    predictor: PredictorSettings = PredictorSettings()
    culture: CultureSettings = CultureSettings()
    notifier: NotifierSettings = NotifierSettings()
    dashboard: DashboardSettings = DashboardSettings()
    clock: ClockSettings = ClockSettings()

    @model_validator(mode="before")
    @classmethod
    def _without_the_ring(cls, given: dict[str, Any]) -> dict[str, Any]:
        """Leave out the ring in shared memory of 0.1.0, which files and old state folders name: no number needs it."""
        old = given.get("handover")
        if not isinstance(old, dict) or not set(old) <= RING_OF_0_1_0:
            return given
        if old.get("ring_mb"):
            logging.getLogger("settings").warning(
                "handover.ring_mb has no effect any more: every frame is read from its file, with the same results; "
                "leave the section handover out"
            )
        return {name: value for name, value in given.items() if name != "handover"}

    @property
    def digest(self) -> str:
        """sha256 of the settings that can change a number (not of folders, addresses or process counts)."""
        scientific = self.model_dump_json(
            include={"culture": True, "watch": {"pixel_size_um", "layout"}}, exclude={"culture": {"rules"}}
        )
        return hashlib.sha256(scientific.encode()).hexdigest()


def load_settings(config: Path | None = None, overrides: dict[str, Any] | None = None) -> Settings:
    """Read settings from overrides (command line), environment, a YAML file and the defaults, in that order.

    Raises
    ------
    SettingsError
        With the file, the key and the mend, when a file is missing or a key or value is not understood.
    """
    if config is not None and not config.is_file():
        raise SettingsError(
            f"configuration file {config} does not exist; check the path given to --config", reason="no_config"
        )

    class Sourced(Settings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            env = EnvSettingsSource(settings_cls)
            return init_settings, env, YamlConfigSettingsSource(settings_cls, yaml_file=config)

    try:
        sourced = Sourced(**(overrides or {}))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise SettingsError(
            f"setting `{where}`: {first['msg']} (in {config or 'environment or command line'})", reason="bad_setting"
        ) from error
    return Settings.model_validate(sourced.model_dump())


def settings_of(state: StateFolder, config: Path | None = None) -> Settings:
    """Return the settings in force in a state folder: those that `cellvigil run` left there, unless a file is given."""
    return load_settings(config or (state.settings if state.settings.is_file() else None))
