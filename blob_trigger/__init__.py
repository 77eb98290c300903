"""One function for each blob trigger of the file, its path narrowed to the trigger's folder.

Only `BlobClient` is bound: any other type pulls the whole blob through the host. And only its names are read: facts
come from our own HEAD.
"""

import azure.functions as func

from shared.app import load
from shared.config.model import BlobNews, BlobSource
from shared.core.events import BlobNotice

blueprint = func.Blueprint()
app = load()

SOURCES = {
    BlobNews.EVENT_GRID: func.BlobSource.EVENT_GRID,
    BlobNews.POLLING: func.BlobSource.LOGS_AND_CONTAINER_SCAN,
}


def register(name: str, source: BlobSource) -> None:
    """Register the function of one blob trigger."""
    from azurefunctions.extensions.bindings.blob import BlobClient

    @blueprint.function_name(f"blob_{name}")
    @blueprint.blob_trigger(
        arg_name="blob",
        path=source.rule.binding_path(source.datastore.container),
        connection=source.datastore.connection,
        source=SOURCES[source.news],
    )
    def start(blob: BlobClient) -> None:
        app.operations.start(
            BlobNotice(trigger=name, container=blob.container_name, path=blob.blob_name)
        )


for trigger in app.config.triggers.values():
    if isinstance(trigger.source, BlobSource):
        register(trigger.name, trigger.source)
