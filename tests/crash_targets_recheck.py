"""A containment for the fault tests of recheck: its deny is stripped, and its principal left a user behind."""

from crash_targets import Accused
from lab import seed
from rechecking import asking
from test_contested import strip


class Undone(Accused):
    """A contained user whose deny somebody stripped, and who created another user before."""

    function = "recheck"
    outcome = "handed_back"
    changes = []

    def __init__(self, scene):
        self.lab, self.scene = scene.lab, scene
        self.user = seed.user(self.lab)
        self.spawn = seed.unique("spawn")
        self.lab.client("iam", self.user.key).create_user(UserName=self.spawn)
        # Past the rules: several are made at once.
        contained = scene.invoke(scene.accuse(self.user))
        assert contained.result["outcome"] == "contained"
        self.case = contained.result["case"]
        self.key = f"{self.lab.account}/user/{self.user.id}"
        strip(scene, self.user)
        self.event = asking(scene.open_case(self.key))

    @staticmethod
    def stage_of(operation, pattern, _):
        service, name = operation.split(":")
        if service == "s3":
            if name == "PutObject":
                return "page" if pattern.endswith("report.html") else "ledger"
            return "event" if "event-" in pattern else "case"
        if service == "iam":
            return "principal" if name == "GetUser" else "deny" if name == "GetUserPolicy" else "detail"
        return {"cloudtrail": "trail", "sns": "tell", "lambda": "hand back"}[service]

    def expected(self, column, call):
        good, lasts = self.outcome, column.scope == "event"
        if column.is_crash or call.stage in ("page", "trail"):
            return {good}
        if column.kind == "access_denied":
            if call.stage == "deny":
                # Not known to be gone: told, and left to the next look.
                return {"unread"}
            if call.stage == "detail":
                return {good}
            if call.stage in ("hand back", "event"):
                return {"left"}
        if column.kind == "garbage" and call.stage == "event":
            # What lies there is not what the case remembers.
            return {"left"}
        return {"queue"} if lasts else {good}
