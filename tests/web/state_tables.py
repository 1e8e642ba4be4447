"""Every route in every state of a flow, for everybody who may call.

The tables read as the states of a flow do in the contract: ``state, state → outcome``, with ``*``
for all the other states of the row.  An outcome is a word of ``Cell.check`` in ``test_states.py``
or the code of an error.
"""

from __future__ import annotations

from collections.abc import Iterator

STATES = (
    "started",
    "sent",
    "bound",
    "redeeming",
    "done",
    "failed",
    "abandoned",  # the worker that redeemed it died
    "expired",  # and its session with it, since nobody signed in
    "expired-signed-in",
    "evicted",
    "cleared",
)

ROUTES = (
    "GET challenge",
    "POST code",
    "POST code, signed state",
    "POST code, own state",
    "POST callback, navigation",
    "GET callback, ticket",
    "GET callback, spent ticket",
    "GET callback, code",
    "GET callback, error",
    "GET callback, nothing",
    "POST callback, JSON, its code",
    "POST callback, JSON, another code",
    "POST callback, JSON, error",
    "POST callback, JSON, forged state",
    "POST token",
    "POST token, named",
    "POST clear",
)

#: What a JSON caller hears of a flow that failed or is gone.
_OVER = (
    "failed → access-denied · abandoned → redemption-abandoned"
    " · expired, expired-signed-in → state-expired"
    " · evicted → state-evicted · cleared → state-cleared"
)
#: What a browser sees that posts a response: nothing is stored for a state that expired.
_POSTED = "expired, expired-signed-in → state-expired · * → ticket"
#: What a browser sees that comes with a good ticket.
_TICKET = f"started, sent → bound · bound, done → on · redeeming → refresh · {_OVER}"
_SPENT = (
    "bound, done, expired-signed-in, evicted → on · redeeming → refresh"
    " · failed → access-denied · abandoned → redemption-abandoned · * → ticket-spent"
)
_ERROR = f"started, sent → access-denied · bound, done → on · redeeming → refresh · {_OVER}"
_OWN_STATE = (
    "started, sent → sent · bound → result · redeeming, done → told · failed → access-denied"
    " · abandoned → redemption-abandoned · * → anew"
)
_SIGNED_STATE = f"started, sent → sent · bound → result · redeeming, done → told · {_OVER}"

#: The flow is that of a browser, or of anything that keeps cookies.
#: ``program`` has the local session, where that is on.
OF_A_BROWSER = {
    "GET challenge": {
        "owner": "expired, cleared → session · * → new",
        "another": "* → new",
        "nobody": "* → session",
        "program": "* → new",
    },
    "POST code": {
        "owner": "started → sent · expired, cleared → session · * → new",
        "another": "* → new",
        "nobody": "* → session",
        "program": "* → new",
    },
    "POST code, signed state": {
        "owner": _SIGNED_STATE,
        "another": "* → session-mismatch",
        "nobody": "* → cookie-missing",
        "program": "* → session-mismatch",
    },
    "POST code, own state": {
        "owner": _OWN_STATE,
        "another": "* → anew",
        "nobody": "* → anew",
        "program": "* → anew",
    },
    "POST callback, navigation": {
        "owner": _POSTED,
        "another": _POSTED,
        "nobody": _POSTED,
        "program": _POSTED,
    },
    "GET callback, ticket": {
        "owner": _TICKET,
        "another": "* → session-mismatch",
        "nobody": "* → cookies-blocked",
        "program": "* → session-mismatch",
    },
    "GET callback, spent ticket": {
        "owner": _SPENT,
        "another": "* → ticket-spent",
        "nobody": "* → ticket-spent",
        "program": "* → ticket-spent",
    },
    "GET callback, code": {
        "owner": _TICKET,
        "another": "* → session-mismatch",
        "nobody": "* → cookies-blocked",
        "program": "* → session-mismatch",
    },
    "GET callback, error": {
        "owner": _ERROR,
        "another": "* → session-mismatch",
        "nobody": "* → cookies-blocked",
        "program": "* → session-mismatch",
    },
    "GET callback, nothing": {
        "owner": "* → answer-missing",
        "another": "* → answer-missing",
        "nobody": "* → answer-missing",
        "program": "* → answer-missing",
    },
    "POST callback, JSON, its code": {
        "owner": f"started, sent, bound → result · redeeming, done → told · {_OVER}",
        "another": "* → session-mismatch",
        "nobody": "* → cookie-missing",
        "program": "* → session-mismatch",
    },
    "POST callback, JSON, another code": {
        "owner": f"started, sent → result · bound, redeeming, done → flow-code-differs · {_OVER}",
        "another": "* → session-mismatch",
        "nobody": "* → cookie-missing",
        "program": "* → session-mismatch",
    },
    "POST callback, JSON, error": {
        "owner": (
            f"started, sent → access-denied · bound, redeeming, done → flow-code-differs · {_OVER}"
        ),
        "another": "* → session-mismatch",
        "nobody": "* → cookie-missing",
        "program": "* → session-mismatch",
    },
    "POST callback, JSON, forged state": {
        "owner": "* → state-forged",
        "another": "* → state-forged",
        "nobody": "* → cookie-missing",
        "program": "* → state-forged",
    },
    "POST token": {
        "owner": (
            "started, sent, expired-signed-in, evicted → authorization-pending · bound → tokens"
            " · redeeming → flow-redeeming · done → code-spent · failed → access-denied"
            " · abandoned → redemption-abandoned · expired, cleared → session-over"
        ),
        "another": "* → authorization-pending",
        "nobody": "* → cookie-missing",
        "program": "* → authorization-pending",
    },
    "POST token, named": {
        "owner": (
            "started, sent → authorization-pending · bound → tokens · redeeming → flow-redeeming"
            " · done → code-spent · failed → access-denied · abandoned → redemption-abandoned"
            " · expired-signed-in, evicted → grant-unknown · expired, cleared → session-over"
        ),
        "another": "* → session-mismatch",
        "nobody": "* → cookie-missing",
        "program": "* → session-mismatch",
    },
    "POST clear": {
        "owner": "* → gone",
        "another": "* → cleared",
        "nobody": "* → nothing",
        "program": "* → cleared",
    },
}

#: The flow is that of the local session.  Nobody gets a cookie for it, and any browser on
#: loopback may finish it: ``another`` has a session of its own, ``nobody`` has no cookie.
OF_THE_LOCAL_SESSION = {
    **OF_A_BROWSER,
    "GET challenge": {"owner": "* → new", "another": "* → new", "nobody": "* → session"},
    "POST code": {
        "owner": "started → sent · * → new",
        "another": "* → new",
        "nobody": "* → session",
    },
    "GET callback, ticket": {"owner": _TICKET, "another": _TICKET, "nobody": _TICKET},
    "GET callback, spent ticket": {"owner": _SPENT, "another": _SPENT, "nobody": _SPENT},
    "GET callback, code": {"owner": _TICKET, "another": _TICKET, "nobody": _TICKET},
    "GET callback, error": {"owner": _ERROR, "another": _ERROR, "nobody": _ERROR},
    "POST token": {
        "owner": (
            "bound → tokens · redeeming → flow-redeeming · done → code-spent"
            " · failed → access-denied · abandoned → redemption-abandoned"
            # The local session has no cookie that would tell of one that is gone.
            " · * → authorization-pending"
        ),
        "another": "* → authorization-pending",
        "nobody": "* → cookie-missing",
    },
}

TABLES = {"browser": OF_A_BROWSER, "local": OF_THE_LOCAL_SESSION}
CALLERS = {
    "browser": ("owner", "another", "nobody", "program"),
    "local": ("owner", "another", "nobody"),
}


def read_row(row: str) -> Iterator[tuple[str, str]]:
    """The cells of a row: each state once, with its outcome."""
    rest: str | None = None
    named = set()
    for part in row.split(" · "):
        states, _, outcome = part.partition(" → ")
        for state in states.split(", "):
            if state == "*":
                assert rest is None, row
                rest = outcome
            else:
                assert state in STATES, state
                assert state not in named, row
                named.add(state)
                yield state, outcome
    for state in STATES:
        if state not in named:
            assert rest is not None, f"no outcome for {state}: {row}"
            yield state, rest
