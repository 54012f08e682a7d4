"""Tables of experiments: run over seeds, resumed, rendered, and searched for settings."""
