"""A metadata database that is locked while steps run; half a minute, in which ML Metadata tries again and again."""

from pathlib import Path

import pytest
from ml_metadata.metadata_store import metadata_store
from ml_metadata.proto import metadata_store_pb2

from hubline.pipeline.machine_faults import explained
from tests.support.locked_database import locked_database


def test_a_database_that_is_locked_during_a_run_is_told_as_locked(tmp_path: Path) -> None:
    config = metadata_store_pb2.ConnectionConfig()
    config.sqlite.filename_uri = str(tmp_path / "metadata.sqlite")
    config.sqlite.connection_mode = metadata_store_pb2.SqliteMetadataSourceConfig.READWRITE_OPENCREATE
    store = metadata_store.MetadataStore(config)
    asks = (lambda: store.put_execution_type(metadata_store_pb2.ExecutionType(name="step")), lambda: connect(config))
    with locked_database(tmp_path / "metadata.sqlite"):
        for ask in asks:
            with pytest.raises(Exception, match="aborted after max number of retries") as caught:
                ask()
            assert "another process has locked" in (
                explained(caught.value, tmp_path, tmp_path / "metadata.sqlite") or ""
            )
    for ask in asks:
        ask()


def connect(config: metadata_store_pb2.ConnectionConfig) -> metadata_store.MetadataStore:
    return metadata_store.MetadataStore(config)
