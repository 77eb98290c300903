"""When a run whose answer was lost is found, sent again or held for a person.

The app searches for the run. A submission is sent again only after conclusive searches have not found its run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from shared.core.runs import ReferenceRun, RunFacts, SearchResult
from shared.core.submissions import State, Submission
from shared.core.times import print_duration
from shared.core.transitions import FIRST_POLL, growing_wait, hold, without_lost_answer

MIN_CONCLUSIVE_SEARCHES = 3
"""Conclusive searches that must find no run before the submission is sent again."""


QUIET = timedelta(minutes=15)
"""The last of these searches must be at least this long after the POST's end, since run history may lag."""


SEARCH_FOR = timedelta(hours=24)
"""How long the app searches for a run before a person must decide."""


MAX_CAUSE = 500
"""Characters of a lost answer's cause in the reason of a submission that is searched. The attempts have all of it."""


def suffices(submission: Submission, reference: ReferenceRun | None, *, now: datetime) -> bool:
    """Return whether a search that shows the reference run now would also show the submission's run.

    Since a search may lag, the POST must have ended longer ago than the reference run was old when a search showed it:
    a run that old is shown. A reference run that started after the POST's end fulfils that.
    """
    if reference is None:
        return False
    return now - (submission.post_deadline or now) >= _least_lag(submission, reference, now)


def record_search(
    submission: Submission, found: SearchResult, *, reference: ReferenceRun | None, now: datetime
) -> Submission:
    """Return the submission after a search that did not find its run.

    The search is conclusive only if it would have shown the run: it showed a run that started after the POST had ended,
    or it showed the reference run and that suffices.

    Args:
        submission: An `unknown` one.
        found: What the search saw.
        reference: The reference run that the search asked for.
        now: When the search was.
    """
    since, ended = submission.unknown_since or now, submission.post_deadline or now
    conclusive = found.saw_newer
    if found.saw_reference and reference is not None:
        conclusive = conclusive or suffices(submission, reference, now=now)
        submission = replace(submission, lag=_least_lag(submission, reference, now))
    searches = submission.conclusive_searches + conclusive
    searched = replace(submission, conclusive_searches=searches, updated=now)
    if conclusive and searches >= MIN_CONCLUSIVE_SEARCHES and now >= ended + QUIET:
        reason = f"{searches} conclusive searches found no run: it is sent again"
        return replace(without_lost_answer(searched), state=State.PENDING, reason=reason, due=now)
    reason = (submission.unknown_cause or "an answer was lost")[:MAX_CAUSE]
    if not conclusive:
        why = found.inconclusive or _too_early(searched, now - ended)
        reason = f"{reason}; the last search was not conclusive: {why}"
    if now >= since + SEARCH_FOR:
        return hold(
            searched,
            f"an answer was lost, and {print_duration(SEARCH_FOR)} of searching did not show whether a run has "
            f"started ({searches} searches were conclusive). The cause: {reason}",
            now=now,
        )
    return replace(searched, reason=reason, due=now + growing_wait(now - since))


def adopt(
    submission: Submission, runs: Sequence[RunFacts], *, generation: int, now: datetime
) -> Submission:
    """Return the submission with the runs that a search found. Runs are facts, so it is recorded in any state.

    The oldest becomes the submission's run if it has none. All others are duplicates.

    Args:
        submission: The row as it stands now.
        runs: What the search found.
        generation: The generation whose correlation id they carry.
        now: The current time.
    """
    found = sorted(runs, key=lambda run: (run.created is None, run.created, run.id))
    if found and submission.run_id is None and submission.generation == generation:
        submission = _adopt_first(submission, found[0], now)
    known = {submission.run_id, *submission.duplicates}
    more = tuple(dict.fromkeys(run.id for run in found if run.id not in known))
    if not more:
        return submission
    return replace(submission, duplicates=(*submission.duplicates, *more), updated=now)


def _adopt_first(submission: Submission, run: RunFacts, now: datetime) -> Submission:
    # By the app's own clock the run was created before the POST ended. The service's clock may be ahead.
    latest = submission.post_deadline or now
    return replace(
        without_lost_answer(submission),
        state=State.SUBMITTED,
        reason=None,
        run_id=run.id,
        run_status=run.status,
        run_created=min(run.created or submission.started_trying, latest),
        poll_since=now,
        due=now + FIRST_POLL,
        updated=now,
    )


def _least_lag(submission: Submission, reference: ReferenceRun, now: datetime) -> timedelta:
    """Return the least age at which a search has shown the reference run, if one shows it now."""
    age = now - reference.started
    return age if submission.lag is None else min(age, submission.lag)


def _too_early(submission: Submission, ended: timedelta) -> str:
    lag, ago = (round(span / timedelta(minutes=1)) for span in (submission.lag or ended, ended))
    return f"the youngest run that one showed was {lag} min old, and the POST ended {ago} min ago"
