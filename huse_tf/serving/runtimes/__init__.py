"""Files of other runtimes: ONNX, LiteRT and OpenVINO. Their packages are the extra `runtimes`."""
