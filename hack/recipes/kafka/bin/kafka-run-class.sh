#!/usr/bin/env bash
# kafka-run-class.sh CLASS ARGUMENT…: what the other scripts here come down to.
set -euo pipefail

home=$(cd "$(dirname "$0")/.." && pwd)
read -ra heap <<<"${KAFKA_HEAP_OPTS:--Xmx256M}"
read -ra tuning <<<"${KAFKA_JVM_PERFORMANCE_OPTS:--XX:+UseSerialGC -XX:TieredStopAtLevel=1}"
read -ra extra <<<"${KAFKA_OPTS:-}"
exec "${JAVA_HOME:+$JAVA_HOME/bin/}java" "${heap[@]}" "${tuning[@]}" "${extra[@]}" \
  -Dlog4j2.configurationFile="$home/config/${KAFKA_LOGGING:-tools}-log4j2.properties" \
  -cp "$home/libs/*" "$@"
