"""`python -m twin_app.cli`: the command `twin` where its script is not installed."""

from twin_app.cli.main import main

main()
