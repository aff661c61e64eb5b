"""The command line, one module a noun: what was typed → one act → what is shown. Loaded when they are asked for."""
