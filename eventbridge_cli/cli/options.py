"""Options that several commands share. A default shown here is the setting's own; a test holds them equal."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

DELIVERY, FILES, SCREEN, INTAKE, WATCHING = "Delivery", "Files", "Screen", "Reading", "Watching"
LAKE = "Data lake"


class Progress(StrEnum):
    """When to show progress."""

    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


class Output(StrEnum):
    """How results are printed."""

    TEXT = "text"
    JSON = "json"


Inputs = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="INPUTS",
        help="Files, folders, quoted globs, or - for standard input (which is also read if nothing is named).",
        show_default=False,
    ),
]
Strict = Annotated[
    bool,
    typer.Option(
        "--strict",
        help="Take RFC 3339 times alone, reject unknown fields.",
        rich_help_panel=INTAKE,
    ),
]
Keys = Annotated[
    str | None,
    typer.Option(
        "--key",
        metavar="PATHS",
        help="Field paths that make two events copies, with commas between them. \\[env: EBINGEST_KEY]",
        show_default="interactionId, eventType, eventTime",
        rich_help_panel=INTAKE,
    ),
]
Window = Annotated[
    float | None,
    typer.Option(
        min=0.001,
        metavar="SECONDS",
        help="Forget a key after so much event time. \\[env: EBINGEST_WINDOW]",
        show_default="never",
        rich_help_panel=INTAKE,
    ),
]
WindowSize = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        help="Remember the last N keys. \\[env: EBINGEST_WINDOW_SIZE]",
        show_default="all",
        rich_help_panel=INTAKE,
    ),
]
MaxRecordBytes = Annotated[
    int | None,
    typer.Option(
        min=100,
        metavar="N",
        help="Reject a longer record, without holding it in memory. \\[env: EBINGEST_MAX_RECORD_BYTES]",
        show_default="1000000",
        rich_help_panel=INTAKE,
    ),
]
Jobs = Annotated[
    int | None,
    typer.Option(
        "--jobs",
        "-j",
        min=1,
        max=64,
        metavar="N",
        help="Processes that share the work. \\[env: EBINGEST_JOBS]",
        show_default="the cores it may use",
        rich_help_panel=INTAKE,
    ),
]
MaxErrors = Annotated[
    str | None,
    typer.Option(
        metavar="N|N%",
        help="Stop (exit 4) at more bad records than that.",
        show_default="no limit",
        rich_help_panel=INTAKE,
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.", rich_help_panel=SCREEN)]
Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", help="Tell each retry, split, token and bad record.", rich_help_panel=SCREEN)
]
ShowProgress = Annotated[
    Progress,
    typer.Option("--progress", help="Show a progress bar; auto: on a terminal.", rich_help_panel=SCREEN),
]
TextOrJson = Annotated[Output, typer.Option("--output", "-o", help="text for people, or json.")]
SummaryAs = Annotated[Output, typer.Option("--output", "-o", help="json: print the summary to stdout as JSON.")]
AuditFile = Annotated[
    Path | None,
    typer.Option(
        "--audit",
        metavar="FILE",
        help="Audit file; runs append to it. \\[env: EBINGEST_AUDIT]",
        show_default="ingestion_audit.jsonl",
        rich_help_panel=FILES,
    ),
]
DeadLetters = Annotated[
    Path | None,
    typer.Option(
        "--dead-letters",
        metavar="FILE",
        help="Bad records are kept there. \\[env: EBINGEST_DEAD_LETTERS]",
        show_default="dead_letters.ndjson",
        rich_help_panel=FILES,
    ),
]
StateFolder = Annotated[
    Path | None,
    typer.Option(
        "--state",
        metavar="FOLDER",
        help="Where delivered keys and the outbox are kept. \\[env: EBINGEST_STATE]",
        show_default="the user's state folder",
        rich_help_panel=FILES,
    ),
]
MetricsTextfile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Write Prometheus metrics there, every 15 s and at the end, for the textfile collector; the name ends "
        "in .prom. \\[env: EBINGEST_METRICS_TEXTFILE]",
        show_default=False,
        rich_help_panel=WATCHING,
    ),
]
Otlp = Annotated[
    bool | None,
    typer.Option(
        "--otlp/--no-otlp",
        help="Send a trace of the run to an OpenTelemetry collector; the OTEL_ variables say where; "
        "--no-otlp: don't. \\[env: EBINGEST_OTLP]",
        show_default="off",
        rich_help_panel=WATCHING,
    ),
]
Sync = Annotated[
    list[str] | None,
    typer.Option(
        metavar="URL",
        help="Hand what is delivered to a data lake: file:///folder, s3://bucket/prefix (gs:, az:), "
        "kafka://host:9092/topic or https://host/path. Repeatable. \\[env: EBINGEST_SYNC]",
        show_default=False,
        rich_help_panel=LAKE,
    ),
]
SyncContent = Annotated[
    str | None,
    typer.Option(
        metavar="receipts|events",
        help="What it gets: a receipt of each request, or the events themselves. \\[env: EBINGEST_SYNC_CONTENT]",
        show_default="receipts",
        rich_help_panel=LAKE,
    ),
]
SyncFormat = Annotated[
    str | None,
    typer.Option(
        metavar="ndjson|parquet",
        help="How events are written to folders and object stores. \\[env: EBINGEST_SYNC_FORMAT]",
        show_default="ndjson",
        rich_help_panel=LAKE,
    ),
]
SyncGrace = Annotated[
    float | None,
    typer.Option(
        min=0,
        metavar="SECONDS",
        help="Hand over for so long when the run has ended; the rest waits for ebingest sync. "
        "\\[env: EBINGEST_SYNC_GRACE]",
        show_default="30",
        rich_help_panel=LAKE,
    ),
]
SyncRequired = Annotated[
    bool | None,
    typer.Option(
        "--sync-required/--no-sync-required",
        help="Exit 5 if something waits for the data lake at the end; --no-sync-required: don't. "
        "\\[env: EBINGEST_SYNC_REQUIRED]",
        show_default="off",
        rich_help_panel=LAKE,
    ),
]
OutputFile = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="FILE", help="Write the events there.", show_default="stdout"),
]
