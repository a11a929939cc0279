#!/bin/sh
# Runs before every start of the server: makes the cluster when the volume is new, then brings
# roles, passwords and databases to what the Secret and the chart's values say. The server it
# starts for that listens on a socket of this container only.
set -eu

export PATH="/usr/lib/postgresql/15/bin:$PATH"

if [ ! -s "$PGDATA/PG_VERSION" ]; then
  # Made beside its place and moved there, so that an interrupted run leaves nothing half done.
  rm -rf "$PGDATA.new"
  initdb --pgdata "$PGDATA.new" --username postgres --auth peer --encoding UTF8 --locale C.UTF-8 \
    --data-checksums >/dev/null
  mv "$PGDATA.new" "$PGDATA"
fi

# A server that was killed leaves its lock file; nobody else can run on this volume now.
rm -f "$PGDATA/postmaster.pid"
pg_ctl --pgdata "$PGDATA" --wait --timeout 600 --log /tmp/prepare.log --options \
  "-c config_file=/config/postgresql.conf -c listen_addresses='' -c unix_socket_directories=/tmp" \
  start >/dev/null || { cat /tmp/prepare.log; exit 1; }

for database in $DATABASES; do
  echo "preparing database $database"
  psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --set database="$database" \
    --host /tmp --username postgres --dbname postgres --file /config/database.sql
done

pg_ctl --pgdata "$PGDATA" --wait --mode fast stop >/dev/null
