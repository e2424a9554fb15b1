"""The states of a message in the outbox."""

WAITING_STATUSES = ("pending", "sending")
OPEN_STATUSES = (*WAITING_STATUSES, "candidate")
FINAL_STATUSES = ("sent", "dead", "cancelled", "superseded", "suppressed", "limited", "expired")
STATUSES = (*OPEN_STATUSES, *FINAL_STATUSES)
