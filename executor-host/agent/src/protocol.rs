//! Frames between executor-host and agent.
