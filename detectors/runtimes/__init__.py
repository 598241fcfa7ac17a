"""What runs a network: ONNX Runtime and OpenCV."""
