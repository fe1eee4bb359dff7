"""`python -m tinybench` is `tinybench`."""

from tinybench.cli import main

main()
