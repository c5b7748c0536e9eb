"""What a user would write: paho-mqtt and psycopg, COPY in batches of 1,000. Compared with the hub it validates nothing, knows
no repeats, and acknowledges before it stores.

naive.py PORT USER PASSWORD FILTER COUNT DATABASE: prints "ready", and after COUNT readings the seconds since the first.
"""

import json
import sys
import time
from datetime import datetime, timezone

import paho.mqtt.client as mqtt
import psycopg

port, user, password, topic_filter, count, database = sys.argv[1:7]
connection = psycopg.connect(database, autocommit=True)
connection.execute("CREATE TABLE IF NOT EXISTS public.naive (sensor text, time timestamptz, boot bigint, seq bigint,"
                   " temperature float8, humidity float8, state text)")
rows: list[tuple] = []
stored = 0
first = 0.0


def flush() -> None:
    global stored
    with connection.cursor().copy("COPY public.naive FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)
    stored += len(rows)
    rows.clear()
    if stored >= int(count):
        print(f"{time.perf_counter() - first:.6f}", flush=True)


def on_message(client, userdata, message) -> None:
    global first
    if not first:
        first = time.perf_counter()
    reading = json.loads(message.payload)
    values = reading["v"]
    rows.append((message.topic.split("/")[3], datetime.fromtimestamp(reading["t"] / 1e6, timezone.utc), reading["boot"],
                 reading["seq"], values["temperature"], values["humidity"], values["state"]))
    if len(rows) >= 1000 or stored + len(rows) >= int(count):
        flush()


client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="naive", protocol=mqtt.MQTTv5)
client.username_pw_set(user, password)
client.on_message = on_message
client.on_connect = lambda c, *_: c.subscribe(topic_filter, qos=1)
client.on_subscribe = lambda *_: print("ready", flush=True)
client.connect("127.0.0.1", int(port))
client.loop_forever()
