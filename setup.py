"""Packaging of huse_tf; the tool settings live in pyproject.toml."""

import pathlib
import re

import setuptools

ROOT = pathlib.Path(__file__).parent
INIT = (ROOT / "huse_tf" / "__init__.py").read_text(encoding="utf-8")
VERSION = re.search(r'^__version__ = "([^"]+)"', INIT, re.MULTILINE)
if VERSION is None:
    raise RuntimeError('huse_tf/__init__.py must hold a line `__version__ = "X.Y.Z"`.')

setuptools.setup(
    name="huse_tf",
    version=VERSION[1],
    description="One embedding space for product images and texts, class hierarchy built in (HUSE), in Keras.",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11,<3.14",
    packages=setuptools.find_packages(include=["huse_tf", "huse_tf.*"]),
    package_data={
        "huse_tf": [
            "py.typed",
            "data/summary/*.html",
            "evaluation/*.html",
            "pages/*.html",
            "pages/*.css",
            "serving/*.md",
        ]
    },
    # Floors are the oldest release with wheels for Python 3.13, where that decides.
    install_requires=[
        "absl-py>=2.1",
        "filelock>=3.16",
        "fsspec>=2024.10",
        "jinja2>=3.1",
        "keras>=3.15,<3.16",
        "keras-hub>=0.32,<0.33",
        "markupsafe>=3.0",
        "matplotlib>=3.9.2",
        "numpy>=2.1",
        "pandas>=2.2.3",
        "pillow>=11.0",
        "safetensors>=0.4.3",  # keras-hub reads weights with it but does not require it
        "scikit-learn>=1.5.2",
        "scipy>=1.14.1",
        "tensorboard>=2.20",  # tf.summary.scalar lives there; TensorFlow 2.21 does not require it
        "tensorflow>=2.20,<2.22",
        "tensorflow-serving-api>=2.20,<2.22",  # messages only: 30 KB, and it needs what is here already
        "tensorflow-text>=2.20.1,<2.22",
        "tqdm>=4.66",
    ],
    extras_require={
        # tensorflow-hub imports pkg_resources, which setuptools dropped in 81.
        "hub": ["tensorflow-hub>=0.16.1", "setuptools<81"],
        "parquet": ["pyarrow>=18"],
        "beam": ["apache-beam>=2.65"],
        "skip_gram": ["gensim>=4.4"],  # LGPL-2.1, used as a library
        "tune": ["optuna>=4.2"],
        # huse_tf.serving.client; REST alone needs urllib3 only.
        "client": ["grpcio>=1.71", "tensorflow-serving-api>=2.20,<2.22", "urllib3>=2.2"],
        "serve": [
            "grpcio>=1.76",
            "grpcio-health-checking>=1.76",
            "prometheus-client>=0.21",
            "starlette>=0.45",
            "tensorflow-serving-api>=2.20,<2.22",
            "uvicorn>=0.34",
        ],
        "runtimes": [
            "ai-edge-litert>=2.3",
            "onnx>=1.23",
            "onnxruntime>=1.32",
            "openvino>=2026.4",
            "tf2onnx>=1.17",
        ],
        "docs": ["latex2mathml>=3.79", "mkdocs-material>=9.7", "mkdocstrings-python>=2"],
        "dev": [
            "check-jsonschema>=0.33",  # holds the schema of docker-compose.yml
            "hypothesis>=6.115",
            "jsonschema>=4.23",
            "kubernetes-validate>=1.35",
            "pytest>=8",
            "pytest-xdist>=3.5",
            "ruff>=0.6",
            "mypy>=1.11",
            "pandas-stubs",
        ],
    },
)
