"""Names of files in artifacts.

The first two are those of TFX's own components. Reading the names from there would import all components, which takes
seconds in each pod.
"""

ANOMALIES_FILE = "SchemaDiff.pb"
SCHEMA_FILE = "schema.pbtxt"
BLESSED = "blessed"
TRIED_FILE = "tried.json"
"""Result of trying out a hub module, in its Model artifact."""
