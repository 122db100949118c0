"""The whole system in one process, from one seed: the real drivers and hosts on a simulated clock, broker and disk.

What runs is `twin_app.streaming` (partitions, driver, transactions, replay, intake, the recovery's highwaters) and
`twin_app.partition`, unchanged. What is played here: the event loop's clock (`loop`), the network (`network`), the broker
(`broker`, `clients`), the local disk (`disk`), the consumer group (`group`) and the worker process around it (`worker`).
"""
