"""`khive-persist schema`."""

import click

from khive_persist.cli.output import print_json
from khive_persist.mirror.schema import schema


@click.command("schema")
def command() -> None:
    """Print the JSON Schema of the files in sessions/.

    \b
      khive-persist schema > document.schema.json

    Each .json file there is one such document, and each line of a .jsonl file. Export writes them,
    too.
    """
    print_json(schema())
