import { chmod, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { openSocketHost } from './embedded-postgres.ts';
import type { Metrics } from './metrics.ts';

/** Where operators and probes ask: a Unix socket, or an address of this machine that is not public. */
export type PrivateAddress = { readonly socketFile: string } | { readonly host: string; readonly port: number };

/** The outcome of each readiness check by name; `ok`, or what is wrong. */
export type Readiness = Readonly<Record<string, string>>;

/** What the private server tells. */
export type PrivateFacts = {
  readonly metrics: Metrics;
  readonly readiness: () => Promise<Readiness>;
  /** Checks whose failure is told, and keeps the server from nothing that computers wait for. */
  readonly dispensable?: readonly string[];
};

/** The listener for operators. */
export type PrivateServer = {
  /** Path of the socket, or `host:port` as bound. */
  readonly address: string;
  close(): Promise<void>;
};

/**
 * Serves `/livez`, `/readyz` and `/metrics` without TLS or sign-in, apart from the public listener.
 *
 * `/livez` says that the process turns; `/readyz` answers 503 and names the failing check while it cannot serve.
 */
export async function startPrivateServer(
  options: PrivateFacts & { readonly address: PrivateAddress },
): Promise<PrivateServer> {
  const server = createServer((request, reply) => {
    answer(options, request, reply).catch(() => reply.writeHead(500).end('the check itself failed\n'));
  });
  server.requestTimeout = 10_000;
  return 'socketFile' in options.address
    ? bindSocket(server, options.address.socketFile)
    : bindPort(server, options.address);
}

async function answer(
  { metrics, readiness, dispensable = [] }: PrivateFacts,
  request: IncomingMessage,
  reply: ServerResponse,
): Promise<void> {
  const { pathname } = new URL(request.url ?? '/', 'http://private');
  if (pathname === '/livez') return void reply.writeHead(200).end('ok\n');
  if (pathname === '/metrics') {
    const body = await metrics.registry.metrics();
    return void reply.writeHead(200, { 'content-type': metrics.registry.contentType }).end(body);
  }
  if (pathname !== '/readyz') return void reply.writeHead(404).end('/livez, /readyz or /metrics\n');
  const checks = await readiness();
  const ready = Object.entries(checks).every(([name, outcome]) => outcome === 'ok' || dispensable.includes(name));
  reply
    .writeHead(ready ? 200 : 503, { 'content-type': 'application/json' })
    .end(`${JSON.stringify({ ready, checks })}\n`);
}

async function bindSocket(server: Server, socketFile: string): Promise<PrivateServer> {
  await rm(socketFile, { force: true }); // Left by a killed process; the caller holds the home's lock.
  const folder = openSocketHost(path.dirname(socketFile));
  await listen(server, { path: path.join(folder.host, path.basename(socketFile)) });
  await chmod(socketFile, 0o600);
  return {
    address: socketFile,
    close: async () => {
      await close(server);
      folder.close();
    },
  };
}

async function bindPort(server: Server, address: { host: string; port: number }): Promise<PrivateServer> {
  await listen(server, address);
  const { port } = server.address() as AddressInfo;
  return { address: `${address.host}:${port}`, close: () => close(server) };
}

function listen(server: Server, where: { path: string } | { host: string; port: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(where, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

function close(server: Server): Promise<void> {
  server.closeAllConnections();
  return new Promise((resolve) => server.close(() => resolve()));
}
