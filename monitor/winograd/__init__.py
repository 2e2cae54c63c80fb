"""The network's last convolutions on a CPU in float32, by Winograd's method: a room that can go as a whole."""
