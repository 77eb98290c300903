"""The tick: one call a minute. The app evaluates schedules itself, so that each occurrence has one record."""

import azure.functions as func

from shared.app import load

blueprint = func.Blueprint()
app = load()


@blueprint.function_name("tick")
@blueprint.timer_trigger(arg_name="timer", schedule="0 * * * * *", use_monitor=True)
def tick(timer: func.TimerRequest) -> None:  # noqa: ARG001 — the host passes it, and the app's own ledger knows what is due
    """Claim and send what is due."""
    app.tick()
