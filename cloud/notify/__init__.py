"""Who is called when an alarm stands: e-mail, webhooks and MQTT, once each, until somebody acknowledges.

``config`` is the file, ``routing`` and ``incidents`` are pure, ``outbox`` is what survives, ``channels`` reach people,
``room`` runs it all.
"""
