"""The batch: from Kafka's fetch to Kafka's transaction, exactly once.

The engine knows one thing, a *processor*: a name, an input topic, state or none, and a function from (state, records)
to (state, outputs). One input partition of a processor is a *task*, with its own transactional producer, state and
position. The law of the package:

* outputs, changed state and input position are committed in one transaction, or none of them is;
* state and position come back from one log, and only after the former owner has been fenced;
* after any failed or uncertain commit the task's state and producer are thrown away and made anew;
* nothing here knows what a customer is, and nothing awaits once per record.

What it promises ends at the topics: read-committed readers see each effect once. KAFKA-17754 bounds the promise (a
delayed end of a transaction may land in the producer's next one); clients of protocol EndTxn v5 will cure it, and
librdkafka does not speak it yet. That is why no producer survives an uncertain commit.
"""
