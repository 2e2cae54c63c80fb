# cellvigil for a machine with an NVIDIA GPU:  docker build -f docker/gpu.Dockerfile -t cellvigil:gpu .
#
# These belong together; take one row whole:
#   torch 2.11   torch-tensorrt 2.11   TensorRT 10.15   CUDA 13.0
#   torch 2.12   torch-tensorrt 2.12   TensorRT 10.16   CUDA 13.0
#   torch 2.13   torch-tensorrt 2.13   TensorRT 11.0    CUDA 13.0
# The host needs driver 580 or newer and NVIDIA's container toolkit.
#
# torch-tensorrt asks pip for TensorRT's libraries, which the public Python index only points to: pip must be able to
# reach NVIDIA's own package index, given as NVIDIA_INDEX. Where that is not possible, give a BASE_IMAGE that has
# libnvinfer of the row's version and EXTRA="[mqtt,plot]" : then torch.compile is the GPU engine until `cellvigil doctor` in the
# container finds Torch-TensorRT.
#   docker build -f docker/gpu.Dockerfile --build-arg NVIDIA_INDEX=ADDRESS -t cellvigil:gpu .
ARG BASE_IMAGE=nvidia/cuda:13.0.1-base-ubuntu24.04

FROM ${BASE_IMAGE}
ARG NVIDIA_INDEX=""
ARG EXTRA="[gpu,mqtt,plot]"
ARG TORCH_MINOR=2.11
# g++ and the Python headers are what torch.compile builds its kernels' launchers with.
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
       g++ libgomp1 python3 python3-dev python3-venv \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --create-home cellvigil \
    && install -d -o cellvigil -g cellvigil /state /watch \
    && python3 -m venv /opt/cellvigil
ENV PATH=/opt/cellvigil/bin:$PATH PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /source
COPY .ci/constraints.txt /tmp/constraints.txt
COPY pyproject.toml README.md LICENSE ./
COPY monitor monitor
COPY services services
RUN grep -v '^torch==' /tmp/constraints.txt > /tmp/versions.txt \
    && echo "torch==${TORCH_MINOR}.*" >> /tmp/versions.txt \
    && pip install ${NVIDIA_INDEX:+--extra-index-url "$NVIDIA_INDEX"} --constraint /tmp/versions.txt ".${EXTRA}"
ENV PYTHONUNBUFFERED=1 \
    NUMBA_CACHE_DIR=/home/cellvigil/.cache/numba \
    CELLVIGIL__STATE=/state \
    CELLVIGIL__WATCH__FOLDER=/watch
USER cellvigil
WORKDIR /home/cellvigil
VOLUME /state
HEALTHCHECK --interval=60s --timeout=20s --start-period=120s --retries=3 CMD ["cellvigil", "doctor", "--quick", "--json"]
CMD ["cellvigil", "--help"]
