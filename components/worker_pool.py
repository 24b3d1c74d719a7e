"""A service that starts Beam workers, for `beam.environment: EXTERNAL`: `python -m hubline.components.worker_pool`.

The options are those of Beam's own worker pool: `--service_port`, and `--container_executable` for Beam's boot program.
Workers have this process's Python, packages and environment, including what the import of Hubline sets.
"""

import sys

from hubline.components.adapters.beam import serve_workers

if __name__ == "__main__":
    serve_workers(sys.argv[1:])
