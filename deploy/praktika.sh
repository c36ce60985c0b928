#!/bin/sh
# The operator's command, from any directory: on a checkout .venv/bin/praktika points here, in the image PATH does.
root=$(dirname "$(dirname "$(readlink -f "$0")")")
python=$root/.venv/bin/python
[ -x "$python" ] || python=python
PYTHONPATH=$root exec "$python" -P -m deploy.praktika "$@"
