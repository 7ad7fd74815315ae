"""The server: TF Serving's gRPC and REST interfaces over the versions of one exported model."""
