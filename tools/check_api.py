#!/usr/bin/env python3
"""Checks the HTTP API of a running build against its own description, and with a published client.

Starts Evenkeel on a free port with a few samples, runs schemathesis over /api/v1/openapi.yaml (answers must
have the described shapes, wrong parameters must be refused, right ones taken, nothing may answer 500), and then
every method of prometheus_api_client that only reads. Ends with 1 if anything failed.

With PEERS, a Prometheus reads our samples through remote read and scrapes our /federate, and must give the same
answers as we do.

usage: check_api.py [EVENKEEL [EXAMPLES [PEERS]]]   (python3 -m venv DIR; DIR/bin/pip install schemathesis
                                                     'prometheus-api-client[all]'; run this with DIR/bin/python)

EVENKEEL is target/debug/evenkeel by default; EXAMPLES per operation are 50; PEERS is what
`../shared/tools/peers.sh` filled.
"""
import datetime
import math
import pathlib
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

from prometheus_api_client import MetricsList, PrometheusConnect

# What no schema can say: a string that is no expression, selector, time or pool is refused although it is a string.
SETTINGS = """\
[generation]
max-examples = {examples}

[checks]
positive_data_acceptance.expected-statuses = ["2xx", 400, 404, 422]
negative_data_rejection.expected-statuses = ["4xx"]
missing_required_header.enabled = false

[[operations]]
include-path = "/notifications/live"
# A stream that does not end.
enabled = false

[[operations]]
include-path = "/read"
# Messages of protocol buffers are not made up from a schema.
enabled = false

[[operations]]
include-path = "/write"
enabled = false

[[operations]]
include-path = "/admin/tsdb/snapshot"
# Each one is a copy of the database.
enabled = false
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(url):
    for _ in range(300):
        try:
            return urllib.request.urlopen(url).read()
        except OSError:
            time.sleep(0.1)
    sys.exit(f"nothing answers at {url}")


def check_description(url, directory, examples):
    """Runs schemathesis; gives whether it found nothing."""
    (directory / "schemathesis.toml").write_text(SETTINGS.format(examples=examples))
    program = pathlib.Path(sys.executable).parent / "schemathesis"
    command = [str(program), "run", f"{url}/api/v1/openapi.yaml", "--url", f"{url}/api/v1", "--checks", "all",
               "--exclude-checks", "ignored_auth,use_after_free,ensure_resource_availability", "--seed", "1",
               "--suppress-health-check", "all", "--no-color"]
    return subprocess.run(command, cwd=directory).returncode == 0


def check_client(url):
    """Calls what prometheus_api_client offers; gives whether every answer was as it should be."""
    client = PrometheusConnect(url=url, disable_ssl=True)
    now = datetime.datetime.now()
    before = now - datetime.timedelta(seconds=30)
    checks = [
        ("check_prometheus_connection", lambda: client.check_prometheus_connection()),
        ("all_metrics", lambda: "up" in client.all_metrics()),
        ("get_label_names", lambda: "job" in client.get_label_names()),
        ("get_label_values", lambda: "evenkeel" in client.get_label_values("job")),
        ("get_series", lambda: client.get_series(before, now, params={"match[]": "up"})),
        ("get_current_metric_value", lambda: MetricsList(client.get_current_metric_value("up", {"job": "evenkeel"}))),
        ("get_metric_range_data", lambda: MetricsList(client.get_metric_range_data("up", start_time=before, end_time=now, chunk_size=now - before))),
        ("custom_query", lambda: client.custom_query("count by (job) (up)")[0]["value"][1] == "2"),
        ("custom_query_range", lambda: client.custom_query_range("up", before, now, "5s")[0]["values"]),
        ("get_metric_aggregation", lambda: client.get_metric_aggregation("up", ["sum", "max", "average", "percentile_95"])),
        ("get_metric_metadata", lambda: client.get_metric_metadata("evenkeel_query_total")),
        ("get_targets", lambda: client.get_targets()["activeTargets"]),
        ("get_target_metadata", lambda: client.get_target_metadata({"job": "evenkeel"})),
        ("get_scrape_pools", lambda: "evenkeel" in client.get_scrape_pools()),
    ]
    passed = 0
    for name, check in checks:
        try:
            right, why = bool(check()), ""
        except Exception as error:  # whatever it is, it is the finding
            right, why = False, f"  {type(error).__name__}: {error}"
        passed += right
        print(f"{'passed' if right else 'FAILED'}  prometheus_api_client {name}{why}")
    print(f"{passed} passed, {len(checks) - passed} failed")
    return passed == len(checks)


def check_peer(peers, url, directory):
    """A Prometheus with our samples: gives whether it answers as we do."""
    binary = next((p for p in (peers / "prometheus", peers / "root/usr/bin/prometheus") if p.exists()), None)
    if binary is None:
        sys.exit(f"{peers} holds no prometheus; fill it with ../shared/tools/peers.sh {peers}")
    port = free_port()
    config = directory / "peer.yml"
    config.write_text(f"""\
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
remote_read:
- {{url: '{url}/api/v1/read', read_recent: true}}
scrape_configs:
- job_name: federation
  honor_labels: true
  metrics_path: /federate
  params: {{'match[]': ['{{__name__=~"evenkeel_query_total|job:up:sum"}}']}}
  static_configs: [{{targets: ['{url.split("//")[1]}']}}]
""")
    log = open(directory / "peer.log", "w")
    peer = subprocess.Popen([str(binary), f"--config.file={config}", f"--storage.tsdb.path={directory}/peer",
                             f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=log)
    expressions = [
        'count({job="evenkeel"})',
        'sum by (outcome) (evenkeel_query_total{instance!=""})',
        'rate(evenkeel_samples_stored_total[10s])',
        'count_over_time(up{job="evenkeel"}[8s])',
        'max_over_time(evenkeel_query_duration_seconds_bucket{le="+Inf"}[8s]) - min_over_time(evenkeel_query_duration_seconds_bucket{le="+Inf"}[8s])',
    ]
    try:
        wait_for(f"http://127.0.0.1:{port}/-/ready")
        time.sleep(4)
        at = int(time.time()) - 2
        ours, theirs = (PrometheusConnect(url=u, disable_ssl=True) for u in (url, f"http://127.0.0.1:{port}"))
        equal = 0
        for expression in expressions:
            a, b = (sorted((sorted(r["metric"].items()), r["value"]) for r in c.custom_query(expression, params={"time": at})) for c in (ours, theirs))
            # Our sums are exact and theirs are not, so that the last place may differ.
            same = len(a) == len(b) > 0 and all(
                x[0] == y[0] and math.isclose(float(x[1][1]), float(y[1][1]), rel_tol=1e-12) for x, y in zip(a, b))
            equal += same
            print(f"{'equal ' if same else 'DIFFER'} {len(a):3} series  read through Prometheus: {expression}")
            if not same:
                print(f"   ours   {a[:2]}\n   theirs {b[:2]}")
        scraped = []
        for _ in range(100):
            scraped = theirs.custom_query('up{job="federation"} == 1 and on () count(scrape_samples_scraped{job="federation"} > 0)')
            if scraped:
                break
            time.sleep(0.1)
        print(f"{'passed' if scraped else 'FAILED'}  Prometheus scrapes /federate")
        return equal == len(expressions) and bool(scraped)
    finally:
        peer.terminate()
        peer.wait()


def main():
    here = pathlib.Path(__file__).resolve().parent.parent
    evenkeel = sys.argv[1] if len(sys.argv) > 1 else str(here / "target/debug/evenkeel")
    examples = sys.argv[2] if len(sys.argv) > 2 else "50"
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        config = directory / "prometheus.yml"
        config.write_text(f"""\
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
rule_files: [rules.yml]
scrape_configs:
- job_name: evenkeel
  static_configs: [{{targets: ['127.0.0.1:{port}']}}]
""")
        (directory / "rules.yml").write_text("""\
groups:
- name: check
  rules:
  - {alert: Up, expr: 'up == 1', labels: {severity: none}}
  - {record: 'job:up:sum', expr: 'sum by (job) (up)'}
""")
        log = open(directory / "evenkeel.log", "w")
        server = subprocess.Popen([evenkeel, "serve", "--config", str(config), "--data", str(directory / "data"),
                                   "--listen", f"127.0.0.1:{port}", "--enable-admin-api"], stdout=log, stderr=log)
        try:
            wait_for(f"{url}/-/ready")
            time.sleep(5)
            passed = check_client(url)
            read = check_peer(pathlib.Path(sys.argv[3]), url, directory) if len(sys.argv) > 3 else True
            described = check_description(url, directory, examples)
            alive = server.poll() is None
            panics = "panicked" in (directory / "evenkeel.log").read_text()
            print(f"client: {'passed' if passed else 'FAILED'}; peer: {'passed' if read else 'FAILED'}; description: {'passed' if described else 'FAILED'}; "
                  f"server: {'still answers' if alive and not panics else 'FAILED'}")
            sys.exit(not (passed and read and described and alive and not panics))
        finally:
            server.terminate()
            server.wait()


main()
