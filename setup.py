"""Packaging: `pip install .` provides the `hubline` command; the wheel can be passed to Beam workers.

TFX's own pins exclude the versions that it works with, so no installer can resolve them here. The training stack is
therefore installed from a lock in requirements/ (`make setup`); the wheel depends only on what `hubline check` needs.
"""

from setuptools import find_packages, setup

setup(
    name="hubline",
    version="0.1.0",
    description="From TFRecords and a TensorFlow Hub module to a validated SavedModel in serving, on TFX",
    python_requires=">=3.10",
    packages=find_packages(include=["hubline", "hubline.*"]),
    package_data={
        "hubline.pipeline": ["schema.json"],
        "hubline.pipeline.init": ["*.j2"],
        "hubline.report": ["page.*"],
        "hubline.trainer.serving_guide": ["*.j2"],
    },
    install_requires=["fsspec", "pydantic>=2.10", "rich>=13", "ruamel.yaml>=0.18", "tensorboard", "typer>=0.12"],
    extras_require={
        # Reads video files in `hubline convert video` only; not in any lock. Its wheels include FFmpeg.
        "video": ["av>=14"],
        # Operations of some text hub modules; not in any lock. Must match the version of TensorFlow.
        "text": ["tensorflow-text"],
    },
    entry_points={"console_scripts": ["hubline=hubline.pipeline.cli:main"]},
)
