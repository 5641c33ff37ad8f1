"""The parts of an audit of preference data, one question a file."""
