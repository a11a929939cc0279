"""`python -m eventpipeline_operator`."""

from eventpipeline_operator.main import main

main()
