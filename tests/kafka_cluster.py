"""librdkafka's stand-in for a Kafka cluster, in a process of its own. Prints its brokers; each argument is a topic."""

import sys

from confluent_kafka import Producer

if __name__ == "__main__":
    cluster = Producer({"bootstrap.servers": "mock", "test.mock.num.brokers": 2, "log_level": 0})
    for topic in sys.argv[1:]:
        cluster.list_topics(topic, timeout=10)  # it makes a topic that is asked for
    brokers = cluster.list_topics(timeout=10).brokers.values()
    sys.stdout.write(",".join(f"{broker.host}:{broker.port}" for broker in brokers) + "\n")
    sys.stdout.flush()
    sys.stdin.read()
