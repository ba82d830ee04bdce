"""Text to messages: prototxt and YAML into one tree, the tree into protobuf messages with spans."""
