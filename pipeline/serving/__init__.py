"""What people and pages look at: each customer's latest view, recent triggers, the population, in Redis or Valkey.

Fed from Kafka by a process of its own (`wafa views`), read-committed. The law of the package:

* Redis is a copy. Whatever it loses comes back from Kafka, and nothing but Kafka decides what is true;
* views and the positions they were read up to are written in one atomic call, which Redis refuses if it is not the
  Redis we think it is: emptied, restored from an older snapshot, or written by somebody else meanwhile;
* nothing waits in memory: while Redis is away nothing is read.
"""
