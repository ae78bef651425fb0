import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';

/** What the server counts, for Prometheus. Labels name routes and outcomes, never a tenant, device, user or path. */
export type Metrics = {
  readonly registry: Registry;
  /** One answered request; `route` is the pattern, such as `/v1/users/:userId`. */
  observeRequest(request: { method: string; route: string; status: number; seconds: number }): void;
  /** Adds a gauge that is read when the metrics are. */
  gauge(name: string, help: string, read: () => number): void;
  /** Adds a gauge with labels, all of whose values are read when the metrics are. */
  gauges<Label extends string>(
    name: string,
    help: string,
    labelNames: readonly Label[],
    read: () => Promise<readonly { readonly labels: Readonly<Record<Label, string>>; readonly value: number }[]>,
  ): void;
};

/** A registry of its own, so that two servers in one process do not mix. */
export function createMetrics(): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const labelNames = ['method', 'route', 'status'] as const;
  const requests = new Counter({
    name: 'holdfast_http_requests_total',
    help: 'Requests answered',
    labelNames,
    registers: [registry],
  });
  const seconds = new Histogram({
    name: 'holdfast_http_request_seconds',
    help: 'Time from the request line to the last byte of the answer',
    labelNames: ['method', 'route'],
    buckets: [0.005, 0.02, 0.1, 0.5, 2, 10, 60],
    registers: [registry],
  });
  return {
    registry,
    observeRequest({ method, route, status, seconds: taken }) {
      requests.inc({ method, route, status: String(status) });
      seconds.observe({ method, route }, taken);
    },
    gauge(name, help, read) {
      const gauge: Gauge = new Gauge({ name, help, registers: [registry], collect: () => gauge.set(read()) });
    },
    gauges(name, help, labelNames, read) {
      const collect = async () => {
        const values = await read();
        gauge.reset();
        for (const { labels, value } of values) gauge.set(labels, value);
      };
      const gauge: Gauge = new Gauge({ name, help, labelNames: [...labelNames], registers: [registry], collect });
    },
  };
}
