"""Packaging: `pip install .` gives the `hubline` command; the wheel can be handed to Beam workers.

TFX's own pins exclude the versions it works with, so no installer can resolve it from here: the training stack comes
from a lock in requirements/ (`make setup`), and only what `hubline check` needs is a dependency of the wheel.
"""

from setuptools import find_packages, setup

setup(
    name="hubline",
    version="0.1.0",
    description="From TFRecords and a TensorFlow Hub module to a validated SavedModel in serving, on TFX",
    python_requires=">=3.10",
    packages=find_packages(include=["hubline", "hubline.*"]),
    package_data={"hubline.pipeline": ["schema.json"], "hubline.report": ["page.*"], "hubline.pipeline.init": ["*.j2"]},
    install_requires=["fsspec", "pydantic>=2.10", "rich>=13", "ruamel.yaml>=0.18", "tensorboard", "typer>=0.12"],
    extras_require={
        # Reads video files in `hubline convert video`, and nothing else; in no lock. Its wheels bring their own FFmpeg.
        "video": ["av>=14"],
        # Operations that some hub modules of texts are made of; in no lock. It must be of the version of TensorFlow.
        "text": ["tensorflow-text"],
    },
    entry_points={"console_scripts": ["hubline=hubline.pipeline.cli:main"]},
)
