"""How Beam runs on this machine."""

IN_ONE_PROCESS = (
    "--direct_running_mode=in_memory",
    "--direct_num_workers=1",
    # Naming an image, which no local runner looks at, keeps TFX from packing itself up for workers that lack it: that
    # is a build in a process of its own, seconds long, in every step that uses Beam.
    "--sdk_container_image=none",
)
"""The arguments of its pipelines."""
