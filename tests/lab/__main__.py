"""`python -m lab serve`: run the local AWS until it is told to end."""

import argparse


def main():
    parser = argparse.ArgumentParser(prog="lab", description="A local AWS for rehearsal and tests.")
    commands = parser.add_subparsers(dest="command", required=True)
    serve = commands.add_parser("serve", help="run the lab in the foreground")
    serve.add_argument("--port", type=int, default=0, help="0 chooses a free one")
    serve.add_argument("--ready-file", help="JSON with endpoint and admin key, written when ready")
    serve.add_argument(
        "--until-stdin-closes", action="store_true", help="end with the process that started it, however that ends"
    )
    arguments = parser.parse_args()
    from .server import serve as run

    run(arguments.port, arguments.ready_file, arguments.until_stdin_closes)


main()
