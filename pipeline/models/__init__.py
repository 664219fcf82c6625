"""The ledger: its tables, its constraints, and the verbs that change one row."""

from __future__ import annotations

from pipeline.models.analytics import (
    ALL_TIERS,
    HHI_POINTS,
    AnalyticsSnapshot,
    Family,
    MarketConcentration,
    VenueKind,
    VenueVolume,
)
from pipeline.models.anomaly import Anomaly
from pipeline.models.api_token import ApiToken
from pipeline.models.backup import Backup, Drill, Restoration
from pipeline.models.capture import Capture, CaptureKind, Cause, capture_id_for
from pipeline.models.category import Category
from pipeline.models.channel import Channel, ChannelKind, Digest
from pipeline.models.check import Check, Seen
from pipeline.models.condition_look import ConditionLook
from pipeline.models.delivery import Delivery, DeliveryAction, DeliveryState
from pipeline.models.event import Event, Occurrence
from pipeline.models.feed import FeedCounter
from pipeline.models.file_check import FileCheck, FileState
from pipeline.models.ledger_kind import DataKind, LedgerKind
from pipeline.models.likeness import PartitionSketch
from pipeline.models.listing import Listing
from pipeline.models.manifest import Manifest, Reject, Stage
from pipeline.models.notice import Notice
from pipeline.models.operator_log import Act, ActOutcome, OperatorLogEntry, OperatorLogSubject
from pipeline.models.partition import Partition
from pipeline.models.pruning import EntryState, PlanState, PruneEntry, PrunePlan
from pipeline.models.readiness import Readiness, ReadinessState, Reason, ReasonCode, Use
from pipeline.models.readiness_change import ReadinessChange
from pipeline.models.revision import Revision
from pipeline.models.run import (
    BAD_OUTCOMES,
    FETCHING,
    Action,
    Calculation,
    Outcome,
    PartitionStatus,
    Run,
    RunPartition,
    RunStatus,
    RunWeek,
    Trigger,
    WorkerSign,
)
from pipeline.models.severity import Severity
from pipeline.models.silence import Silence
from pipeline.models.tally import Tally, TallyEntry

__all__ = [
    "ALL_TIERS",
    "BAD_OUTCOMES",
    "FETCHING",
    "HHI_POINTS",
    "Act",
    "ActOutcome",
    "Action",
    "AnalyticsSnapshot",
    "Anomaly",
    "ApiToken",
    "Backup",
    "Calculation",
    "Capture",
    "CaptureKind",
    "Category",
    "Cause",
    "Channel",
    "ChannelKind",
    "Check",
    "ConditionLook",
    "DataKind",
    "Delivery",
    "DeliveryAction",
    "DeliveryState",
    "Digest",
    "Drill",
    "EntryState",
    "Event",
    "Family",
    "FeedCounter",
    "FileCheck",
    "FileState",
    "LedgerKind",
    "Listing",
    "Manifest",
    "MarketConcentration",
    "Notice",
    "Occurrence",
    "OperatorLogEntry",
    "OperatorLogSubject",
    "Outcome",
    "Partition",
    "PartitionSketch",
    "PartitionStatus",
    "PlanState",
    "PruneEntry",
    "PrunePlan",
    "Readiness",
    "ReadinessChange",
    "ReadinessState",
    "Reason",
    "ReasonCode",
    "Reject",
    "Restoration",
    "Revision",
    "Run",
    "RunPartition",
    "RunStatus",
    "RunWeek",
    "Seen",
    "Severity",
    "Silence",
    "Stage",
    "Tally",
    "TallyEntry",
    "Trigger",
    "Use",
    "VenueKind",
    "VenueVolume",
    "WorkerSign",
    "capture_id_for",
]
