"""A stand-in for an agent: the real page with the real agent's headers, and JSON made by the test.

    with StandIn(agent_port, change) as url: ...

`change(data, wanted)` alters what the real agent answered in place; `wanted` is the query.
"""
import http.client
import http.server
import json
import threading
import urllib.parse


def ask(port, path, host="127.0.0.1"):
    """(status, headers, body) of a GET at the agent."""
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        client.request("GET", path, headers={"Host": host})
        response = client.getresponse()
        return response.status, dict(response.getheaders()), response.read()
    finally:
        client.close()


class StandIn:
    def __init__(self, port, change):
        stand_in = self
        self.port, self.change = port, change

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                status, headers, body = ask(stand_in.port, self.path)
                if self.path.startswith("/status.json"):
                    data = json.loads(body)
                    stand_in.change(data, dict(urllib.parse.parse_qsl(self.path.partition("?")[2])))
                    body = json.dumps(data).encode()
                self.send_response(status)
                for name, value in headers.items():
                    if name.lower() not in ("content-length", "connection", "keep-alive"):
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def __enter__(self):
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return f"http://127.0.0.1:{self._server.server_port}/"

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)
