"""The engines that run on this machine, as parameters of tests."""

from importlib.util import find_spec

import pytest

OPENVINO = pytest.mark.skipif(
    find_spec("openvino") is None, reason="OpenVINO is not installed; pip install 'vedette[openvino]'"
)
KINDS = ["onnxruntime", pytest.param("openvino", marks=OPENVINO)]
