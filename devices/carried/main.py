"""`python3 job.pyz`, on the device."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any, NoReturn

from hwloop.devices.carried.bench import DeviceBench, Unsuited
from hwloop.devices.carried.job_file import JobFile, JobRefused
from hwloop.devices.carried.journal import Journal, StrangeJournal
from hwloop.devices.carried.measuring import Measuring
from hwloop.devices.carried.runner_process import Broken

if TYPE_CHECKING:
    from collections.abc import Sequence

DONE, REFUSED, DEVICE_FAILED, INTERRUPTED = 0, 2, 3, 130
STEM, PART = "job", ".part"


def say(text: str) -> None:
    """Print a line on standard error."""
    print(text, file=sys.stderr, flush=True)


def main(archive: str, arguments: Sequence[str]) -> None:
    """Measure the job that `archive` holds on this device, and end with an exit code."""
    options = parse(archive, arguments)
    if os.path.exists(options.results) and not os.path.exists(options.results + PART):
        refuse("%s is there already, and whole. Move it away, or name another with --results." % options.results)
    try:
        job = JobFile(archive)
        job.check()
        sys.exit(measure(job, options.results, options.cache or job.document["cache_dir"] or usual_cache()))
    except JobRefused as error:
        refuse("%s. Copy it to this device again." % error)
    except StrangeJournal as error:
        refuse("%s. Remove it, or name another file with --results." % error)
    except Unsuited as error:
        say("error: this device cannot run the job: %s" % error)
        sys.exit(DEVICE_FAILED)


def parse(archive: str, arguments: Sequence[str]) -> Any:
    """Return the options."""
    name = os.path.basename(archive)
    results = "%s.results" % (os.path.splitext(name)[0] or STEM)
    parser = argparse.ArgumentParser(
        prog="python3 %s" % name,
        description="Measure what this file holds on this device, and write the results into a file. Ctrl-C ends it; "
        "what was measured is kept, and the same command goes on from there.",
        epilog="Carry the results file back, and take it in with: hwloop results import FILE",
    )
    parser.add_argument("--results", metavar="FILE", default=results, help="the results file [%(default)s]")
    parser.add_argument("--cache", metavar="DIR", default="", help="hwloop's folder here [~/.cache/hwloop/device]")
    return parser.parse_args(arguments)


def refuse(words: str) -> NoReturn:
    """Print what is wrong with a file, and end."""
    say("error: %s" % words)
    sys.exit(REFUSED)


def usual_cache() -> str:
    """Return hwloop's usual folder on a device."""
    root = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(root, "hwloop", "device")


def measure(job: JobFile, results: str, cache: str) -> int:
    """Measure a job and write its results, also when it is ended before; return the exit code."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
            signal.signal(number, signal.default_int_handler)
    bench, journal = None, None
    try:
        bench = DeviceBench(job, cache, say)
        bench.refuse_unsuited()
        journal = Journal(results + PART, job.digest, bench.found)
        bench.lease()
        bench.unpack()
        Measuring(job, bench, journal, say, threading.Event().wait).run()
        journal.write_results(results, finished=True)
        bench.trim()
        say("%s holds the results: hwloop results import %s" % (results, os.path.basename(results)))
        return DONE
    except KeyboardInterrupt:
        keep(journal, results)
        say("Stopped. The same command goes on from there.")
        return INTERRUPTED
    except (Broken, OSError) as error:
        keep(journal, results)
        say("error: this device cannot go on: %s" % error)
        return DEVICE_FAILED
    finally:
        if journal:
            journal.close()
        if bench:
            bench.close()


def keep(journal: Journal | None, results: str) -> None:
    """Write the results that there are."""
    if journal and journal.replies:
        journal.write_results(results, finished=False)
        say("%s holds what was measured so far." % results)
