"""From a network to an ONNX file: ours, others', and those that other compilers want."""
