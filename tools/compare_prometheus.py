#!/usr/bin/env python3
"""Scrapes one node_exporter with Evenkeel and with Prometheus and compares their answers.

Both read the same prometheus.yml with two jobs: `node` scrapes node_exporter itself; `relay` scrapes
a relay in this script that reads node_exporter every two seconds and hands out its samples with
their time, so that both servers hold the same samples and even rates must be equal, but for rounding in the last place.

usage: compare_prometheus.py PEERS_DIR [EVENKEEL]     (pip install prometheus-api-client)

PEERS_DIR is what `../shared/tools/peers.sh` filled; EVENKEEL is target/release/evenkeel by default.
"""
import http.server
import math
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

from prometheus_api_client import PrometheusConnect

EXPRESSIONS = [
    'count by (mode) (node_cpu_seconds_total{job="node"})',
    'node_memory_MemTotal_bytes{job="node"} / 1024 / 1024',
    'topk(3, node_filesystem_size_bytes{job="node"})',
    'sum by (sysname, machine) (node_uname_info{job=~"no.e"})',
    'up{job="node"} == bool 1',
    'sum by (mode) (rate(node_cpu_seconds_total{job="relay"}[20s]))',
    '1 - avg without (cpu, mode) (irate(node_cpu_seconds_total{job="relay",mode="idle"}[20s]))',
    'increase(node_context_switches_total{job="relay"}[30s])',
    'max_over_time(node_load1{job="relay"}[30s]) - min_over_time(node_load1{job="relay"}[30s])',
    'node_filesystem_avail_bytes{job="relay"} / on (instance, device, mountpoint, fstype) node_filesystem_size_bytes{job="relay"}',
    'quantile(0.9, delta(node_memory_MemFree_bytes{job="relay"}[30s]))',
    'rate(node_network_receive_bytes_total{job="relay",device!~"lo|veth.*"}[20s] offset 5s)',
]


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Relay(http.server.BaseHTTPRequestHandler):
    """Hands out node_exporter's samples, each with the time at which they were read."""
    body = b""

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(Relay.body)

    def log_message(self, *args):
        pass


def refresh(exporter, stop):
    while not stop.is_set():
        text = urllib.request.urlopen(f"http://127.0.0.1:{exporter}/metrics").read().decode()
        now = int(time.time() * 1000)
        Relay.body = re.sub(r"^([^#\n].*)$", rf"\1 {now}", text, flags=re.M).encode()
        stop.wait(2)


def wait_ready(port):
    for _ in range(300):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready")
            return
        except OSError:
            time.sleep(0.1)
    sys.exit(f"nothing is ready on port {port}")


def value_of(result):
    """The answer as a comparable thing: label sets with values, in order for nothing but topk."""
    return sorted((sorted(r["metric"].items()), r["value"][1]) for r in result)


def alike(ours, theirs):
    """Whether series are equal and values too, but for rounding in the last places."""
    return len(ours) == len(theirs) and all(
        a[0] == b[0] and (a[1] == b[1] or math.isclose(float(a[1]), float(b[1]), rel_tol=1e-12)) for a, b in zip(ours, theirs))


def main():
    peers = pathlib.Path(sys.argv[1])
    binaries = next((p for p in (peers, peers / "root/usr/bin") if (p / "prometheus").exists()), None)
    if binaries is None:
        sys.exit(f"{peers} holds no prometheus; fill it with ../shared/tools/peers.sh {peers}")
    here = pathlib.Path(__file__).resolve().parent.parent
    evenkeel = sys.argv[2] if len(sys.argv) > 2 else str(here / "target/release/evenkeel")
    exporter, relay, ours, theirs = (free_port() for _ in range(4))
    started = []
    stop = threading.Event()
    with tempfile.TemporaryDirectory() as directory:
        config = pathlib.Path(directory) / "prometheus.yml"
        config.write_text(f"""\
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
- job_name: node
  static_configs: [{{targets: ['127.0.0.1:{exporter}']}}]
- job_name: relay
  static_configs: [{{targets: ['127.0.0.1:{relay}']}}]
""")

        def start(*command):
            log = open(pathlib.Path(directory) / (pathlib.Path(command[0]).name + ".log"), "w")
            started.append(subprocess.Popen(command, stdout=log, stderr=log))

        try:
            start(str(binaries / "prometheus-node-exporter"), f"--web.listen-address=127.0.0.1:{exporter}")
            time.sleep(1)
            threading.Thread(target=refresh, args=(exporter, stop), daemon=True).start()
            server = http.server.ThreadingHTTPServer(("127.0.0.1", relay), Relay)
            threading.Thread(target=server.serve_forever, daemon=True).start()
            time.sleep(1)
            start(str(binaries / "prometheus"), f"--config.file={config}", f"--web.listen-address=127.0.0.1:{theirs}",
                  f"--storage.tsdb.path={directory}/prometheus")
            start(evenkeel, "serve", "--config", str(config), "--data", f"{directory}/evenkeel", "--listen", f"127.0.0.1:{ours}")
            wait_ready(ours)
            wait_ready(theirs)
            time.sleep(60)
            at = int(time.time()) - 4
            clients = [PrometheusConnect(url=f"http://127.0.0.1:{port}", disable_ssl=True) for port in (ours, theirs)]
            version = clients[1]._session.get(f"http://127.0.0.1:{theirs}/api/v1/status/buildinfo").json()["data"]["version"]
            print(f"Prometheus {version}, queried with prometheus_api_client, at one instant\n")
            equal = 0
            for expression in EXPRESSIONS:
                a, b = (value_of(c.custom_query(expression, params={"time": at})) for c in clients)
                same = alike(a, b) and len(a) > 0
                equal += same
                print(f"{'equal ' if same and a == b else 'round ' if same else 'DIFFER'} {len(a):3} series  {expression}")
                if not same:
                    print(f"   ours   {a[:3]}\n   theirs {b[:3]}")
            print(f"\n{equal} of {len(EXPRESSIONS)} expressions have equal answers (`round`: but for rounding, below 1e-12)")
            sys.exit(equal != len(EXPRESSIONS))
        finally:
            stop.set()
            for process in started:
                process.terminate()
            for process in started:
                process.wait()


main()
