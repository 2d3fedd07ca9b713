"""Impact of metaorders on paired seeds."""
