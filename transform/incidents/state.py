"""What the book of incidents says, as a value: every change makes the next value, and making it twice changes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from pydantic import BaseModel, ConfigDict

from transform.incidents.incident import Incident, Observation, Turn

REMEMBERED = timedelta(days=7)
"""So long it is known of a closed incident when it was over, so that events that are read again open none."""


class Hold(BaseModel):
    """Nobody sends to a channel before `until` (UTC): `holder` is sending, or the channel has failed `failures` times."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    until: datetime
    holder: str | None = None
    failures: int = 0


class State(BaseModel):
    """Every incident that is open, or closed and not yet told to all; by key when others were over; channels that are held."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    next_number: int = 1
    incidents: tuple[Incident, ...] = ()
    over: Mapping[str, datetime] = {}
    held: Mapping[str, Hold] = {}

    @property
    def open(self) -> list[Incident]:
        """Those that are not over."""
        return [each for each in self.incidents if each.recovered_at is None]

    def owed_to(self, channel: str) -> list[tuple[Incident, Turn]]:
        """What the channel is still to be told, in the order in which it came about."""
        owed = [(each, turn) for each in self.incidents for turn in each.owed.get(channel, ())]
        return sorted(owed, key=lambda each: (_at(*each), each[0].number))


def observe(state: State, seen: Iterable[Observation], audience: Sequence[str], calm: timedelta, now: datetime) -> State:
    """The state after what was seen until `now`; `audience` are the channels that there are.

    Of a key what was seen no later than what is known of it changes nothing: events may be read again, and nobody is told twice.
    An incident is over when all has been well for `calm`, counted from when it was first well.
    """
    after = _address(state, audience)
    for each in sorted(seen, key=lambda each: each.at):
        after = _see(_close_calm(after, calm, each.at), each, audience)
    after = _close_calm(after, calm, now)
    return state if after == state else _forget(after, now)


def hold(state: State, channel: str, holder: str, until: datetime, now: datetime) -> State:
    """`holder` sends to the channel until then, if something is owed to it and nobody else does; else nothing changes."""
    held = state.held.get(channel)
    if (held is not None and held.until > now) or not state.owed_to(channel):
        return state
    taken = Hold(until=until, holder=holder, failures=0 if held is None else held.failures)
    return state.model_copy(update={"held": {**state.held, channel: taken}})


def told(state: State, channel: str, references: Iterable[str]) -> State:
    """The channel took these: it is free again, and what everybody knows is forgotten."""
    gone = frozenset(references)
    held = {name: each for name, each in state.held.items() if name != channel}
    incidents = tuple(
        each.model_copy(update={"owed": _without(each, channel, gone)}) if channel in each.owed else each
        for each in state.incidents
    )
    after = state.model_copy(update={"incidents": incidents, "held": held})
    return state if after == state else _drop_told(after)


def failed(state: State, channel: str, holder: str, until: datetime) -> State:
    """The channel did not take what `holder` sent: nobody tries before `until`."""
    held = state.held.get(channel)
    if held is None or held.holder != holder:
        return state
    return state.model_copy(update={"held": {**state.held, channel: Hold(until=until, failures=held.failures + 1)}})


def _see(state: State, seen: Observation, audience: Sequence[str]) -> State:
    known = next((each for each in state.open if each.key == seen.key), None)
    if known is None:
        over = state.over.get(seen.key)
        if seen.trouble is None or (over is not None and seen.at <= over):
            return state
        begun = Incident(
            number=state.next_number,
            key=seen.key,
            began_at=seen.at,
            seen_at=seen.at,
            trouble=seen.trouble,
            audience=tuple(audience),
            owed=dict.fromkeys(audience, ("began",)),
        )
        return state.model_copy(update={"next_number": begun.number + 1, "incidents": (*state.incidents, begun)})
    if seen.at <= known.seen_at or (seen.trouble is None) == (known.calm_since is not None):
        return state
    calm_since = seen.at if seen.trouble is None else None
    return _replace(state, known.model_copy(update={"seen_at": seen.at, "calm_since": calm_since}))


def _close_calm(state: State, calm: timedelta, now: datetime) -> State:
    for each in state.open:
        if each.calm_since is not None and now - each.calm_since >= calm:
            owed = {channel: (*each.owed.get(channel, ()), "recovered") for channel in each.audience}
            closed = each.model_copy(update={"recovered_at": each.calm_since, "owed": owed})
            state = _replace(state, closed).model_copy(update={"over": {**state.over, each.key: each.calm_since}})
    return state


def _address(state: State, audience: Sequence[str]) -> State:
    """A channel that is new hears of what is open; to one that is gone nothing is owed."""
    incidents = []
    for each in state.incidents:
        heard = tuple(channel for channel in each.audience if channel in audience)
        owed = {channel: turns for channel, turns in each.owed.items() if channel in audience}
        if each.recovered_at is None:
            new = tuple(channel for channel in audience if channel not in heard)
            heard, owed = (*heard, *new), {**owed, **dict.fromkeys(new, ("began",))}
        incidents.append(each.model_copy(update={"audience": heard, "owed": owed}))
    held = {channel: each for channel, each in state.held.items() if channel in audience}
    after = state.model_copy(update={"incidents": tuple(incidents), "held": held})
    return state if after == state else after


def _forget(state: State, now: datetime) -> State:
    over = {key: at for key, at in state.over.items() if now - at < REMEMBERED}
    return _drop_told(state.model_copy(update={"over": over}))


def _drop_told(state: State) -> State:
    kept = tuple(each for each in state.incidents if each.recovered_at is None or each.owed)
    return state.model_copy(update={"incidents": kept})


def _without(incident: Incident, channel: str, gone: frozenset[str]) -> dict[str, tuple[Turn, ...]]:
    left = {**incident.owed, channel: tuple(turn for turn in incident.owed[channel] if incident.reference(turn) not in gone)}
    return {name: turns for name, turns in left.items() if turns}


def _replace(state: State, incident: Incident) -> State:
    incidents = tuple(incident if each.number == incident.number else each for each in state.incidents)
    return state.model_copy(update={"incidents": incidents})


def _at(incident: Incident, turn: Turn) -> datetime:
    return incident.began_at if turn == "began" or incident.recovered_at is None else incident.recovered_at
