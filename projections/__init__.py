"""The projection engine: read models built from a log, kept up to date, rebuilt beside the live."""

from projections.errors import ProjectionError
from projections.metrics import ProjectionMetrics
from projections.operations import OPERATOR_EVENTS, Operations
from projections.projection import Cursor, Projection
from projections.reactor import Message, Reactor
from projections.reactor_runner import ReactorRunner
from projections.read_models import ReadModels
from projections.runner import ProjectionRunner
from projections.timers import Timer, TimerRunner, Timers

__all__ = [
    "OPERATOR_EVENTS",
    "Cursor",
    "Message",
    "Operations",
    "Projection",
    "ProjectionError",
    "ProjectionMetrics",
    "ProjectionRunner",
    "Reactor",
    "ReactorRunner",
    "ReadModels",
    "Timer",
    "TimerRunner",
    "Timers",
]
