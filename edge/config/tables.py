"""The site file's tables: what a person may write, with what each key means, its limits and its default.

``edge/config/README.md`` is made from these (``python -m edge.config.reference``).
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from edge.config.alarms import Alarms
from edge.config.command import Commands
from edge.config.health import Health
from edge.config.lines import Line, Name
from edge.config.nameplate import Nameplate, PlannedStop
from edge.config.north import North
from edge.config.page import Page
from edge.config.panel import Panel
from edge.config.profiles.signal import Strict
from edge.config.rule import SiteRule
from edge.config.sensors import Balance, Redundant
from edge.config.update import Update


class Gateway(Strict, frozen=True, kw_only=True):
    """The gateway itself."""

    id: Annotated[Name, Meta(description="The gateway's name in the fleet; its token belongs to it.")]
    data_dir: Annotated[str, Meta(description="Folder of the store, relative to the site file.")] = "var/gateway"
    commit_interval_ms: Annotated[
        int, Meta(ge=50, le=60_000, description="How often telemetry is sealed and synced; alarms are at once.")
    ] = 1000
    store_mb_max: Annotated[
        int,
        Meta(ge=8, description="Over this the oldest telemetry is thinned, then dropped, and both are declared."),
    ] = 2048
    free_mb_min: Annotated[
        int, Meta(ge=0, description="With less than this free on its disk the store grows no more, as if over its cap.")
    ] = 64
    verdict_interval_ms: Annotated[int, Meta(ge=100, le=3_600_000, description="How often each asset is judged.")] = (
        1000
    )
    inference: Annotated[bool, Meta(description="Whether to judge at all; without, models are not even loaded.")] = True
    bundle_keys: Annotated[
        tuple[str, ...],
        Meta(
            description="Files of public keys (PEM) whose bundles it takes, relative to the site file. By default those"
            " in `keys` among the shipped profiles and in the site's own: `*.pub`. Where any is named, no other counts:"
            " not even the one of the shipped bundles."
        ),
    ] = ()
    clock: Annotated[
        Literal["auto", "kernel", "release"],
        Meta(
            description="Whose word makes the wall clock trusted: the kernel's, once a time service has set it; or any"
            " time after this code's release. `auto`: the kernel's on a board without a battery clock."
        ),
    ] = "auto"


class Uplink(Strict, frozen=True, kw_only=True):
    """The way to the cloud. Without this table the gateway keeps everything for itself."""

    url: Annotated[str, Meta(pattern=r"^https?://[^/]", description="The receiver's address.")]
    token_file: Annotated[
        str, Meta(description="File with this gateway's token, mode 0600, relative to the site file.")
    ]
    interval_ms: Annotated[int, Meta(ge=50, le=60_000, description="How often to look for what awaits sending.")] = 200
    request_kb_max: Annotated[int, Meta(ge=16, le=8192, description="The most that one request carries.")] = 512
    timeout_s: Annotated[float, Meta(gt=0, le=120, description="How long one request may take.")] = 10.0
    backoff_s_max: Annotated[
        float, Meta(gt=0, le=3600, description="The longest pause between tries, with jitter.")
    ] = 30.0
    ask_interval_s: Annotated[
        float, Meta(ge=0.1, le=86_400, description="How often to ask what the cloud wants: which bundles to try.")
    ] = 60.0
    backlog_kb_s_max: Annotated[
        int, Meta(ge=0, le=1_000_000, description="The most a second that what waited for the way up may take; 0: all.")
    ] = 4096
    backlog_order: Annotated[
        Literal["oldest", "newest"], Meta(description="What of that goes first; what is new goes before all of it.")
    ] = "oldest"


Tags = Annotated[
    tuple[str, ...], Meta(min_length=1, description="Their tags; `*` in one stands for any characters, `?` for one.")
]
Priority = Annotated[int, Meta(ge=0, le=9, description="Who goes first where the line is short of time: the highest.")]


class Rate(Strict, frozen=True, kw_only=True):
    """Signals of a unit that are polled at a rate of their own."""

    tags: Tags
    period_ms: Annotated[int, Meta(ge=10, le=86_400_000, description="How often they are polled.")]
    priority: Priority = 0


class Report(Strict, frozen=True, kw_only=True):
    """Signals of a unit of which changes alone are kept, whatever their profile says: one of the two deadbands."""

    tags: Tags
    deadband: Annotated[
        Annotated[float, Meta(ge=0)] | None,
        Meta(description="A value no further than this from the last kept one is counted and not stored."),
    ] = None
    deadband_percent: Annotated[
        Annotated[float, Meta(gt=0, le=100)] | None, Meta(description="The same in percent of the last kept value.")
    ] = None
    heartbeat_s: Annotated[
        float, Meta(gt=0, le=86_400, description="So long after the last kept value one is kept, changed or not.")
    ] = 60.0


class Unit(Strict, frozen=True, kw_only=True):
    """One device of an asset."""

    line: Annotated[Name, Meta(description="The line that it hangs on.")]
    unit: Annotated[
        int, Meta(ge=0, le=4_194_303, description="Its number on the line, where there are numbers: a Modbus unit id.")
    ] = 1
    at: Annotated[
        str, Meta(description="Its place on a line without numbers, put for `{at}` in the addresses of its profile.")
    ] = ""
    profile: Annotated[str, Meta(description="Its device profile: a file of firmware_profiles/devices.")]
    period_ms: Annotated[
        int, Meta(ge=10, le=86_400_000, description="How often it is polled, or at least expected to speak.")
    ] = 1000
    priority: Priority = 0
    rate: Annotated[tuple[Rate, ...], Meta(description="Signals that are polled at rates of their own.")] = ()
    report: Annotated[tuple[Report, ...], Meta(description="Signals of which changes alone are kept.")] = ()


class Asset(Strict, frozen=True, kw_only=True, rename={"class_": "class"}):
    """One machine."""

    id: Annotated[Name, Meta(description="Its name in data, alarms and addresses.")]
    name: Annotated[str, Meta(description="Its name for people; the id by default.")] = ""
    class_: Annotated[str, Meta(description="Its class: a file of firmware_profiles/assets.")] = "generic"
    anomaly_alarms_per_week: Annotated[
        Annotated[float, Meta(ge=0.01, le=1000)] | None,
        Meta(description="At most so many false alarms of anomaly a week, on average; as its class has it by default."),
    ] = None
    unit: Annotated[tuple[Unit, ...], Meta(min_length=1, description="The devices that measure it.")]
    rule: Annotated[
        tuple[SiteRule, ...], Meta(description="What of its class's rules is otherwise here, and rules of its own.")
    ] = ()
    redundant: Annotated[tuple[Redundant, ...], Meta(description="Its sensors that measure the same thing.")] = ()
    balance: Annotated[tuple[Balance, ...], Meta(description="Sums of its signals that physics keeps constant.")] = ()
    nameplate: Annotated[
        Nameplate | None, Meta(description="What its papers say, for a life before any model knows it.")
    ] = None
    stop: Annotated[
        PlannedStop | None, Meta(description="When it stops next, for the chance of a failure before then.")
    ] = None


class Machine(Strict, frozen=True, kw_only=True):
    """What the simulated plant puts behind one asset."""

    asset: Annotated[Name, Meta(description="The asset whose registers it fills.")]
    model: Annotated[
        Literal["spindle", "pump", "extruder", "recording"], Meta(description="A simulated machine, or a recording.")
    ]
    seed: Annotated[int, Meta(ge=0, description="The same seed gives the same machine.")] = 1
    life_h: Annotated[
        Annotated[float, Meta(gt=0)] | None,
        Meta(description="Hours from the onset of wear to failure; drawn from the machine's distribution by default."),
    ] = None
    recording: Annotated[str, Meta(description="CSV or Parquet file to replay, relative to the site file.")] = ""
    map: Annotated[str, Meta(description="Its column map, a TOML file; see `babbitt plant profile`.")] = ""


class Plant(Strict, frozen=True, kw_only=True):
    """The simulated plant, used by `babbitt plant` alone."""

    speed: Annotated[float, Meta(gt=0, le=1e6, description="Machine seconds that pass in one second.")] = 1.0
    state_dir: Annotated[str, Meta(description="Folder of its control socket, relative to the site file.")] = (
        "var/plant"
    )
    machine: Annotated[tuple[Machine, ...], Meta(description="The machines.")] = ()


class SiteFile(Strict, frozen=True, kw_only=True):
    """The file as it is written."""

    gateway: Annotated[Gateway, Meta(description="The gateway itself.")]
    line: Annotated[tuple[Line, ...], Meta(min_length=1, description="The buses.")]
    asset: Annotated[tuple[Asset, ...], Meta(min_length=1, description="The machines and what measures them.")]
    uplink: Annotated[Uplink | None, Meta(description="The way to the cloud; none by default.")] = None
    alarms: Annotated[Alarms, Meta(description="How the gateway calls people to its alarms.")] = Alarms()
    health: Annotated[Health, Meta(description="When it raises alarms about itself.")] = Health()
    panel: Annotated[Panel, Meta(description="Lamps, buttons and display.")] = Panel()
    north: Annotated[North, Meta(description="How other systems read the gateway.")] = North()
    page: Annotated[Page | None, Meta(description="The gateway's own page; none by default.")] = None
    command: Annotated[Commands | None, Meta(description="Writes to machines; none by default.")] = None
    update: Annotated[Update, Meta(description="What may be changed from far away.")] = Update()
    plant: Annotated[Plant, Meta(description="The simulated plant.")] = Plant()
    profiles: Annotated[
        str,
        Meta(
            description="A folder of your own with those of `devices/`, `assets/`, `bundles/`, `keys/`, `contracts/`"
            " that you need."
        ),
    ] = ""
