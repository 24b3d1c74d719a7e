"""Names of artifacts' files, properties and keys.

The first two are those of TFX's own components. Reading the names from there would import all components, which takes
seconds in each pod.
"""

ANOMALIES_FILE = "SchemaDiff.pb"
SCHEMA_FILE = "schema.pbtxt"
BLESSED = "blessed"
SERVING_CHECK = "serving_check"
"""Key of ServingCheck's output, whose property `BLESSED` is its verdict."""
TRIED_FILE = "tried.json"
"""Result of trying out a hub module, in its Model artifact."""
