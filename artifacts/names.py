"""The names of files in artifacts.

TFX's own components call the first two so; to ask them would import all of them, which takes seconds of each pod.
"""

ANOMALIES_FILE = "SchemaDiff.pb"
SCHEMA_FILE = "schema.pbtxt"
BLESSED = "blessed"
TRIED_FILE = "tried.json"
"""What trying out a hub module has shown, in its Model artifact."""
