"""Records of a user's own: one a file each, under a table of another name, and one in streams."""

from typing import ClassVar

from khive_persist.models.node import Node
from khive_persist.models.purposes import Purpose, purpose


class TrainingSession(Node):
    purpose: ClassVar[Purpose] = purpose(
        "training",
        "sessions_of_training",
        view="trainings",
        fields=("athlete",),
        indexes=(("athlete", "created_at"),),
        document="training_session",
    )


class Heartbeat(Node):
    purpose: ClassVar[Purpose] = purpose("heartbeats", is_stream=True)


class OtherPlan(Node):
    """Its files begin as those of plans do."""

    purpose: ClassVar[Purpose] = purpose("other_plans", document="planner_session")


class OtherEvent(Node):
    """Its streams begin as those of events do."""

    purpose: ClassVar[Purpose] = purpose("other_events", document="hook_events", is_stream=True)
