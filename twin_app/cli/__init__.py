"""The command `twin` and its verbs, one a file. Says what happened in one line, and with an exit code that a script can use."""
