#!/bin/sh
# pgAdmin with one user, who finds the platform's server and needs no password for it. What it knows
# lies in an emptyDir and is made anew at every start, so that nothing half made is ever believed.
set -eu

data=/data/pgadmin
cd /pgadmin4

prepare() {
  /venv/bin/python3 setup.py "$@" >/tmp/setup.log 2>&1 || { cat /tmp/setup.log; exit 1; }
}

rm -rf "$data"
mkdir "$data"
prepare setup-db

if [ -n "${DATABASE_USERNAME:-}" ]; then
  prepare load-servers /config/servers.json --user "$PGADMIN_SETUP_EMAIL"
  # Where it looks for a user's files.
  storage="$data/storage/$(echo "$PGADMIN_SETUP_EMAIL" | tr @ _)"
  mkdir -p "$storage"
  password=$(printf %s "$DATABASE_PASSWORD" | sed 's/[\\:]/\\&/g')
  (umask 077 && printf '%s\n' "postgres:5432:*:$DATABASE_USERNAME:$password" >"$storage/pgpass")
fi

unset PGADMIN_SETUP_PASSWORD DATABASE_USERNAME DATABASE_PASSWORD
# One process: its sessions are its own. What it warns of it says itself.
exec /venv/bin/python3 -m gunicorn --bind 0.0.0.0:8080 --workers 1 --threads 25 \
  --log-level warning pgAdmin4:app
