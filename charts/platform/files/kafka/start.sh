#!/bin/sh
# Formats the volume when it is new, then becomes the broker.
set -eu

config=/config/server.properties
if [ ! -f /data/log/meta.properties ]; then
  # 16 random bytes as Kafka writes them; asking kafka-storage for one would start a JVM more.
  cluster_id=$(head -c 16 /dev/urandom | base64 | tr '+/' 'ab' | tr -d '=')
  /opt/kafka/bin/kafka-storage.sh format --cluster-id "$cluster_id" --config "$config"
fi
exec /opt/kafka/bin/kafka-server-start.sh "$config"
