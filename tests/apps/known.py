"""What a cell may show that is neither a defect of Holdfast nor of the test, each with its reason."""

# (application, workload, fault): why the application ends by itself, and the words that show it.
KNOWN = {
    ("websocket", "messages", "silence-30"): (
        "its own timeout: websockets pings every 20 s and gives up after 20 s without the answer "
        "(`ping_interval`, `ping_timeout`)", "keepalive ping timeout"),
}

# Workloads that come through directly where a fault would end what talks: they say nothing just then.
SURVIVES_DIRECTLY = ()


def reason(cell, result):
    """Why this result through Holdfast is the application's own doing, or None."""
    entry = KNOWN.get((cell["app"], result["workload"], cell["fault"]))
    if entry and entry[1] in result.get("saw", ""):
        return entry[0]
    return None
