"""The Functions app: registers the three blueprints, nothing else."""

import azure.functions as func

from blob_trigger import blueprint as blob_blueprint
from http_trigger import blueprint as http_blueprint
from timer_trigger import blueprint as timer_blueprint

app = func.FunctionApp()
app.register_functions(timer_blueprint)
app.register_functions(blob_blueprint)
app.register_functions(http_blueprint)
