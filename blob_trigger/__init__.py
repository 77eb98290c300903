"""One function for each blob trigger of the file, its path narrowed to the trigger's folder.

Only `BlobClient` is bound, since any other type pulls the whole blob through the host. The function takes only names
from it. The app reads the blob's properties itself.
"""

import azure.functions as func

from shared.app import BlobBinding, load

blueprint = func.Blueprint()
app = load()


def register(binding: BlobBinding) -> None:
    """Register the function of one blob trigger."""
    from azurefunctions.extensions.bindings.blob import BlobClient

    @blueprint.function_name(f"blob_{binding.trigger}")
    @blueprint.blob_trigger(
        arg_name="blob",
        path=binding.path,
        connection=binding.connection,
        source=func.BlobSource[binding.source],
    )
    def start(blob: BlobClient) -> None:
        app.start_blob(binding.trigger, container=blob.container_name, path=blob.blob_name)


for found in app.blob_bindings():
    register(found)
