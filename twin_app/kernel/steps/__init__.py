"""The steps of the flow language, one idea a file. `base` says what a step is; `twin_app/kernel/program.py` links them."""
