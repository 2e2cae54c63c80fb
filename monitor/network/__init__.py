"""The network: PreAct-ResNet50 encoder, light shared decoder, checkpoints."""
