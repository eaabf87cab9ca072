"""What stands on the detector: watching a stream of frames, messages of ROS 2."""
