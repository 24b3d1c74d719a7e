"""A worker that trains a pickled job: `python -m tests.support.job_worker JOB`. The chief writes what the training came
to next to the job, with the suffix `.trained`."""

import pickle
import sys
from pathlib import Path

from hubline.trainer import devices
from hubline.trainer.workers import worker_index
from tests.support.trained import trained

if __name__ == "__main__":
    path = Path(sys.argv[1])
    job = pickle.loads(path.read_bytes())
    devices.start_worker(job.training.devices, job.training.workers)
    found = trained(job, path.parent)
    if worker_index() == 0:
        path.with_suffix(".trained").write_bytes(pickle.dumps(found))
