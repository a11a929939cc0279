#!/usr/bin/env bash
export KAFKA_LOGGING=server
exec "$(dirname "$0")/kafka-run-class.sh" kafka.Kafka "$@"
