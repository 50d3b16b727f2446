"""Cold and warm invocations of a subject, and its calls."""

from statistics import median

from . import calls
from .environment import Environment, Failed

# Long enough that calls sent side by side overlap however slowly the process or the lab gets to them.
_COUNTING_ROUND_TRIP_MS = 1000


def sample(stage, subject, **variables):
    """One environment: its start, its first invocation and a second one, each with a victim of its own."""
    lab = stage.lab
    lab.round_trip(stage.round_trip_ms)
    first_victim, first_event = stage.accused_user()
    warm_victim, warm_event = stage.accused_user()
    credentials = stage.session(subject.role_arn, subject.key)
    with Environment(subject, credentials, _variables(stage, variables)) as environment:
        init_connections = environment.connections()
        first, first_ms, first_cpu_ms = environment.invoke(first_event)
        peak_mb, connections = environment.peak_mb(), environment.connections()
        trips = lab.trips(access_key=credentials["AccessKeyId"])
        first_cut_ms = calls.cut_ms(trips, subject.cut, first.handed_over)
        warm, warm_ms, warm_cpu_ms = environment.invoke(warm_event)
        later = [t for t in lab.trips(access_key=credentials["AccessKeyId"]) if t["sent"] > warm.handed_over]
        _check(stage, subject, (first_victim, first), (warm_victim, warm))
        return {
            "init_ms": environment.init_ms,
            "first_ms": first_ms,
            "first_cut_ms": first_cut_ms,
            "cold_ms": environment.init_ms + first_ms,
            "cold_cut_ms": environment.init_ms + first_cut_ms,
            "warm_ms": warm_ms,
            "warm_cut_ms": calls.cut_ms(later, subject.cut, warm.handed_over),
            "init_cpu_ms": environment.init_cpu_ms,
            "first_cpu_ms": first_cpu_ms,
            "cold_cpu_ms": environment.init_cpu_ms + first_cpu_ms,
            "warm_cpu_ms": warm_cpu_ms,
            "peak_mb": peak_mb,
            "init_connections": init_connections,
            "connections": connections,
        }


def _check(stage, subject, *handled):
    """A number is worth nothing unless the victim was contained."""
    for victim, event in handled:
        if not stage.is_denied(victim):
            raise Failed(f"{subject.name} left {victim} uncontained: {event.answer}")


def _variables(stage, variables):
    variables = dict(variables)
    extra = variables.pop("extra", {})
    return {**stage.variables(**variables), **extra}


def counted(stage, subject, accuse=None, **variables):
    """The calls of one invocation, warm, with a round trip so long that waves cannot be mistaken; (bag, waves).

    The fewest waves of three: on a busy machine a call may be sent late and seem to have waited for another. Never the
    other way round.
    """
    lab = stage.lab
    accuse = accuse or stage.accused_user
    lab.round_trip(stage.round_trip_ms)
    credentials = stage.session(subject.role_arn, subject.key)
    key = credentials["AccessKeyId"]
    found = []
    with Environment(subject, credentials, stage.variables(**variables)) as environment:
        environment.invoke(accuse()[1])
        for _ in range(3):
            victim, event = accuse()
            lab.round_trip(_COUNTING_ROUND_TRIP_MS)
            mark = lab.mark()
            environment.invoke(event)
            bag = calls.made(lab.calls(mark, access_key=key), victim)
            cut = "PutRolePolicy" if any(action == "PutRolePolicy" for _, action, *_ in bag) else subject.cut
            found.append((bag, calls.waves(lab.trips(access_key=key), cut)))
    lab.round_trip(stage.round_trip_ms)
    return min(found, key=lambda one: (one[1].to_the_cut, one[1].in_all))


def medians(samples):
    return {name: median(sample[name] for sample in samples) for name in samples[0]}
