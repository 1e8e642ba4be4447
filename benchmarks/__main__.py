"""Measure everything, and write it into the documentation: ``make bench``.

With ``--quick`` it takes well under a minute and says little; it then only prints.
"""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from flask import Flask

from flask_pkce import MemoryStore, SQLiteStore

from . import contestants, report
from .browser import Browser
from .callgrind import instructions
from .contestants import Contestant, Provider, field_of
from .imports import import_time, slowest_imports, start_time
from .measure import Measured, interleave
from .processes import (
    Certificates,
    clean_environment,
    counts,
    make_certificates,
    redis_server,
    stub,
)
from .profiles import profile
from .report import Results
from .serving import Setting, serve
from .stores import longest_purge, measure_store, sample_flow


@dataclass(frozen=True)
class Effort:
    """How much is measured."""

    rounds: int
    batch: int
    #: Seconds of each load on gunicorn.
    seconds: float
    #: Pending flows in the stores.
    sizes: tuple[int, ...]
    #: Values past their time.
    past: int
    imports: int
    #: Whether instructions are counted, which takes some minutes.
    instructions: bool


QUICK = Effort(
    rounds=2, batch=2, seconds=0.5, sizes=(100,), past=200, imports=1, instructions=False
)
FULL = Effort(
    rounds=21,
    batch=20,
    seconds=10,
    sizes=(10**3, 10**5),
    past=10**4,
    imports=15,
    instructions=True,
)


@dataclass(frozen=True)
class Bench:
    """What the measurements share."""

    effort: Effort
    folder: Path
    certificates: Certificates
    redis_url: str | None
    say: Callable[[str], None]

    @property
    def stores(self) -> dict[str, str]:
        """The URLs of the stores, by their names; a new file each time."""
        files = len(list(self.folder.glob("*.db")))
        file = self.folder / f"{files}.db"
        file.touch()
        file.unlink()
        urls = {"memory": "memory://", "SQLite": f"sqlite:///{file}"}
        return urls | ({"Redis": self.redis_url} if self.redis_url else {})


def measure_sign_ins(bench: Bench, results: Results) -> None:
    """CPU of sign-ins, over http, over https, and with the usual bundle of roots."""
    for scheme in ("http", "https with one root", "https with the usual bundle"):
        bench.say(f"sign-ins, {scheme}")
        with stub(None if scheme == "http" else bench.certificates) as provider:
            usual = scheme.endswith("bundle")
            if usual:
                bundle = str(bench.certificates.usual_bundle)
                provider = dataclasses.replace(provider, ca_bundle=bundle)
            everybody = field_of(provider, bench.stores)
            if usual:
                everybody = [
                    each for each in everybody if "," not in each.name or "memory" in each.name
                ]
            opened = _Opened(provider)
            effort = bench.effort
            results.sign_ins[scheme] = interleave(
                everybody, rounds=effort.rounds, batch=effort.batch, after_each=opened.note
            )
            results.connections[scheme] = opened.by_name


def measure_pauses(bench: Bench) -> dict[str, Measured]:
    """Sign-ins over https with the usual bundle, one after the other and after a silence."""
    bench.say("sign-ins after five seconds of silence")
    with stub(bench.certificates) as provider:
        provider = dataclasses.replace(provider, ca_bundle=str(bench.certificates.usual_bundle))
        return interleave(
            contestants.with_pauses(provider, "memory://"),
            rounds=bench.effort.rounds,
            batch=bench.effort.batch * 2,
        )


class _Opened:
    """The connections to a provider, by who opened them."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._so_far = 0
        self.by_name: Counter[str] = Counter()

    def note(self, name: str) -> None:
        """Put those that are new down to somebody."""
        now = counts(self._provider)["connections"]
        self.by_name[name] += now - self._so_far
        self._so_far = now


def count_instructions(bench: Bench) -> dict[str, float]:
    """Instructions of one sign-in of each contestant; nothing without valgrind."""
    bench.say("instructions")
    stores = bench.stores
    with stub(bench.certificates) as provider:
        counted = (
            (each.name, instructions(each.name, provider, stores))
            for each in field_of(provider, stores)
        )
        return {name: number for name, number in counted if number is not None}


def profile_sign_ins(bench: Bench) -> dict[str, Counter[str]]:
    """What takes the time of the floor's sign-in, and of ours."""
    bench.say("profiles")
    stores = bench.stores
    with stub(bench.certificates) as provider:
        return {
            each.name: profile(each, bench.effort.rounds * bench.effort.batch)
            for each in field_of(provider, stores)[: 2 + len(stores)]
        }


def measure_challenges(bench: Bench) -> dict[str, Measured]:
    """``GET /pkce/challenge`` beside a bare view that returns as many bytes."""
    bench.say("GET /pkce/challenge")
    body = ""

    def start(browser: Browser) -> None:
        nonlocal body
        body = browser.fetch("GET", "/pkce/challenge").body.decode()

    def bare() -> Flask:
        app = Flask("bare")
        app.add_url_rule("/pkce/challenge", view_func=lambda: body)
        return app

    with stub() as provider:
        start_flows = [
            Contestant(
                f"flask_pkce, {name}",
                partial(contestants.our_app, provider, store=url, delivery="caller"),
                start,
            )
            for name, url in bench.stores.items()
        ]
        interleave(start_flows[:1], rounds=1, batch=1)  # tells the bytes
        everybody = [
            Contestant("bare view", bare, lambda browser: browser.get("/pkce/challenge")),
            *start_flows,
        ]
        return interleave(everybody, rounds=bench.effort.rounds, batch=bench.effort.batch * 5)


def measure_loads(bench: Bench, results: Results) -> None:
    """Sign-ins under gunicorn, over https with the usual bundle of roots."""
    bundle = str(bench.certificates.usual_bundle)
    ours = ("flask_pkce, SQLite", "ours", contestants.short_way)
    authlib = ("Authlib", "authlib", contestants.by_authlib)
    plans = [
        (0.0, (2, 8, 16), (ours, authlib)),
        (0.05, (2, 8, 16), (ours, authlib)),
        (0.05, (2, 32, 48), (ours,)),
        (0.05, (2, 32, 2), (ours,)),
    ]
    for latency, (workers, threads, users), served in plans:
        for name, kind, sign_in in served:
            bench.say(f"gunicorn: {name}, {users} users, tenant {latency * 1000:.0f} ms")
            with stub(bench.certificates, latency=latency) as provider:
                arguments = (kind, provider.issuer, bundle, bench.stores["SQLite"])
                setting = Setting(
                    name,
                    f"benchmarks.contestants:served{arguments!r}",
                    sign_in,
                    workers,
                    threads,
                    users,
                )
                results.loads.append(
                    serve(setting, provider, latency=latency, seconds=bench.effort.seconds)
                )


def measure_stores(bench: Bench, results: Results) -> None:
    """The verbs of the stores, and how expired flows go."""
    with stub() as provider:
        sample = sample_flow(provider)
    results.flow_size = sample.size
    for name, url in bench.stores.items():
        bench.say(f"stores: {name}")
        results.stores += measure_store(name, url, sample, bench.effort.sizes)
    path = bench.folder / "purge.db"
    results.purges = {
        "memory": longest_purge(
            lambda clock: MemoryStore(clock=clock), sample.flow, bench.effort.past
        ),
        "SQLite": longest_purge(
            lambda clock: SQLiteStore(path, clock=clock), sample.flow, bench.effort.past
        ),
    }


def run(effort: Effort, say: Callable[[str], None]) -> Results:
    """Measure everything."""
    results = Results()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        redis_url = stack.enter_context(redis_server(folder))
        bench = Bench(effort, folder, make_certificates(folder), redis_url, say)
        measure_sign_ins(bench, results)
        results.pauses = measure_pauses(bench)
        if effort.instructions:
            results.instructions = count_instructions(bench)
        results.profiles = profile_sign_ins(bench)
        results.challenges = measure_challenges(bench)
        measure_loads(bench, results)
        measure_stores(bench, results)
        say("import")
        results.imported = import_time(effort.imports)
        results.started = start_time(effort.imports)
        results.slowest_imports = slowest_imports(8)
    return results


def main() -> None:
    """Measure, and write or print it."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="measure little, and only print")
    parser.add_argument("--million", action="store_true", help="fill the stores with 10^6 flows")
    options = parser.parse_args()
    clean_environment()
    effort = QUICK if options.quick else FULL
    if options.million:
        effort = dataclasses.replace(effort, sizes=(*effort.sizes, 10**6))
    results = run(effort, lambda line: print(line, flush=True))
    print(report.text(results))
    if not options.quick:
        report.write(results)


if __name__ == "__main__":
    main()
