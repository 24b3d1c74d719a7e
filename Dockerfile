# The image of all steps on Kubeflow Pipelines (docs/image.md). `make image` builds it; the build needs BuildKit.
# BASE provides Python with venv, pip and headers. STACK and VARIANT (cpu or gpu) select a lock file in requirements/.
ARG BASE=python:3.10-slim-bookworm

FROM ${BASE} AS stack
RUN apt-get update && apt-get install --yes --no-install-recommends binutils g++ && rm -rf /var/lib/apt/lists/*
ARG STACK=tfx-1.16
ARG VARIANT=cpu
COPY requirements/build.txt requirements/${STACK}-${VARIANT}.txt /locks/
# pip.conf sets the package source; it is mounted as a secret and not stored. A few packages have no Linux wheels.
# The image omits tests, headers, Jupyter files and debug symbols. Libraries in *.libs were patched when their wheel was
# built, and stripping breaks them. Bytecode is compiled once, here.
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_COMPILE=1 PIP_NO_DEPS=1 PIP_REQUIRE_HASHES=1 PIP_ROOT_USER_ACTION=ignore
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf --mount=type=cache,target=/root/.cache/pip \
    python3 -m venv --without-pip /opt/hubline \
    && pip="python3 -m pip --python /opt/hubline/bin/python install" \
    && $pip --requirement /locks/build.txt \
    && $pip --no-build-isolation --requirement /locks/${STACK}-${VARIANT}.txt \
    && rm -r /opt/hubline/share/jupyter \
    && find /opt/hubline/lib -depth -type d \( -name tests -o -name testdata -o -name include \) -exec rm -r {} + \
    && find /opt/hubline/lib -name '*.so*' -type f ! -path '*.libs/*' ! -path '*/nvidia/*' -exec strip --strip-unneeded {} + \
    && /opt/hubline/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/hubline/lib
# If an import inside TFMA fails, TFMA only prints a message and loads in part. It imports the version last, so check that.
RUN TF_USE_LEGACY_KERAS=1 /opt/hubline/bin/python -c 'from tensorflow_model_analysis import __version__'

FROM stack AS code
COPY . /source
RUN cd /source && PIP_REQUIRE_HASHES=0 python3 -m pip --python /opt/hubline/bin/python install --no-build-isolation --no-index --root /code . \
    && /opt/hubline/bin/python -m compileall -q -s /code -p / --invalidation-mode unchecked-hash /code

FROM ${BASE}
# The home folder belongs to group 0, so that arbitrary user ids, as OpenShift assigns them, can write to it. The launcher of
# older Kubeflow Pipelines backends stores artifacts in /gcs, /minio and /s3 without mounting anything there.
RUN useradd --uid 1000 --gid 0 --create-home hubline && chmod g+rwx /home/hubline && install -d -m 1777 /gcs /minio /s3
COPY --from=stack /opt/hubline /opt/hubline
# A small layer of its own, so that a new version of Hubline is quick to push and pull.
COPY --from=code /code /
# Let TensorFlow find NVIDIA's libraries in the gpu variant.
RUN find /opt/hubline/lib -path '*/nvidia/*/lib' -type d >/etc/ld.so.conf.d/hubline.conf && ldconfig
# Pod logs should contain Hubline's messages and errors only: libraries report errors, but no information.
ENV PATH=/opt/hubline/bin:$PATH \
    HOME=/home/hubline \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    GRPC_VERBOSITY=ERROR \
    TF_CPP_MIN_LOG_LEVEL=2 \
    PYTHONWARNINGS=ignore::FutureWarning,ignore::DeprecationWarning,ignore::UserWarning \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    TF_USE_LEGACY_KERAS=1
WORKDIR /home/hubline
# By number, because Kubernetes' runAsNonRoot doesn't resolve names.
USER 1000
CMD ["hubline", "--help"]
