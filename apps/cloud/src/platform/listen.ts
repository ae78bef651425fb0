import type { Server as HttpsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { defineErrors, newId, systemRandom, type Clock, type CodedError, type Random } from '@holdfast/base';
import { DEFAULT_MAX_BODY_BYTES, requestErrors, type Problem } from '@holdfast/contract';
import { fastify, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import type { Metrics } from './metrics.ts';
import { TLS_SETTINGS, type CertificateSource } from './tls.ts';

/** What keeps the public listener from being opened. */
export const listenErrors = defineErrors('listen', {
  port_taken: ['conflict', 'Another program listens on the port; stop it, or choose another port'],
  not_allowed: ['forbidden', 'This user may not listen on the port; choose one above 1023'],
  no_such_address: ['invalid', 'This machine has no such address'],
});

/** What the public listener is made of. */
export type PublicServerOptions = {
  /** Address to bind; port 0 chooses a free one. */
  readonly listen: { readonly host: string; readonly port: number };
  /** The address people and agents use, when it is not `https://localhost:PORT`. */
  readonly publicUrl?: string;
  /** Proxies (addresses or CIDR) whose `X-Forwarded-*` headers count. */
  readonly trustedProxies: readonly string[];
  readonly certificates: CertificateSource;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly random?: Random;
};

/** The public listener; routes are mounted on `app` before `listen`. */
export type PublicServer = {
  readonly app: FastifyInstance;
  /** Opens the port; returns the address to be told to people. */
  listen(): Promise<{ url: string; port: number }>;
  /** Accepts no more, lets requests under way finish until the deadline, then cuts them off. */
  close(deadlineMs: number): Promise<void>;
};

const LOOPBACK_NAMES = ['localhost', '127.0.0.1', '[::1]'];
/** Nothing may be loaded, framed or submitted; a page that needs more says so in its own reply. */
const CONTENT_SECURITY_POLICY = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";
const RENEWAL_CHECK_MS = 60 * 60_000;

/**
 * Makes the TLS listener of the public API and console: request ids, access log, metrics, security headers, and 421 for
 * hosts that are not ours.
 */
export async function createPublicServer(options: PublicServerOptions): Promise<PublicServer> {
  const { log, clock, random = systemRandom } = options;
  const app = fastify({
    https: {
      ...TLS_SETTINGS,
      ...(await options.certificates.current()),
      headersTimeout: 15_000,
      requestTimeout: 900_000,
    },
    keepAliveTimeout: 65_000,
    bodyLimit: DEFAULT_MAX_BODY_BYTES,
    loggerInstance: log,
    disableRequestLogging: true,
    requestIdLogLabel: 'requestId',
    requestIdHeader: false,
    genReqId: () => newId<'request'>(clock.now(), random),
    trustProxy: options.trustedProxies.length > 0 ? [...options.trustedProxies] : false,
    forceCloseConnections: 'idle',
    frameworkErrors: (error, request, reply) => {
      void refuse(reply, request.id, requestErrors.invalid({ reason: error.code }));
    },
    clientErrorHandler: (error, socket) => refuseUnparsed(error, socket, newId(clock.now(), random)),
  }) as unknown as FastifyInstance;
  const place = { url: options.publicUrl ?? `https://localhost:${options.listen.port}`, port: options.listen.port };
  addHostCheck(app, place, options.publicUrl === undefined);
  addHeaders(app);
  addAccessLog(app, options.metrics);
  const renewal = new AbortController();
  return {
    app,
    async listen() {
      place.port = await bind(app, options.listen);
      if (options.publicUrl === undefined) place.url = `https://localhost:${place.port}`;
      void keepCertificateFresh(app.server as unknown as HttpsServer, options, renewal.signal);
      return { ...place };
    },
    async close(deadlineMs) {
      renewal.abort();
      await closeInTime(app, clock, deadlineMs);
    },
  };
}

function addHostCheck(app: FastifyInstance, place: { url: string; port: number }, isLocal: boolean): void {
  const isOurs = (host: string) => {
    if (!isLocal) return host === new URL(place.url).host || host === `${new URL(place.url).hostname}:443`;
    return LOOPBACK_NAMES.some((name) => host === `${name}:${place.port}` || (place.port === 443 && host === name));
  };
  app.addHook('onRequest', async (request, reply) => {
    if (isOurs(request.host.toLowerCase())) return undefined;
    return refuse(reply, request.id, requestErrors.misdirected(), 421);
  });
}

function addHeaders(app: FastifyInstance): void {
  app.addHook('onRequest', async (request, reply) => {
    reply.headers({
      'x-request-id': request.id,
      'x-content-type-options': 'nosniff',
      'content-security-policy': CONTENT_SECURITY_POLICY,
      'referrer-policy': 'no-referrer',
      'cross-origin-opener-policy': 'same-origin',
      'cross-origin-resource-policy': 'same-origin',
      'cache-control': 'no-store',
    });
    // For localhost it would bind every other program on this machine, whatever its port, to TLS.
    const isLoopback = LOOPBACK_NAMES.includes(request.host.toLowerCase().replace(/:\d+$/, ''));
    if (!isLoopback) reply.header('strict-transport-security', 'max-age=31536000');
  });
}

function addAccessLog(app: FastifyInstance, metrics: Metrics): void {
  app.addHook('onResponse', async (request: FastifyRequest, reply: FastifyReply) => {
    const facts = { method: request.method, route: request.routeOptions.url ?? 'none', status: reply.statusCode };
    metrics.observeRequest({ ...facts, seconds: reply.elapsedTime / 1_000 });
    request.log.info({ ...facts, durationMs: Math.round(reply.elapsedTime) }, 'request');
  });
}

function problemOf(error: CodedError, requestId: string): Problem {
  const { code, kind, message: title, details } = error;
  return { code, kind, title, details, requestId };
}

function refuse(reply: FastifyReply, requestId: string, error: CodedError, status = 400): FastifyReply {
  return reply
    .code(status)
    .type('application/problem+json')
    .send(JSON.stringify(problemOf(error, requestId)));
}

/** Answers what is not HTTP at all, or too much of it, on the bare connection. */
function refuseUnparsed(error: NodeJS.ErrnoException, socket: Socket, requestId: string): void {
  if (!socket.writable || error.code === 'ECONNRESET') return void socket.destroy();
  const [status, problem] =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? ['431 Request Header Fields Too Large', requestErrors.too_large()]
      : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? ['408 Request Timeout', requestErrors.interrupted()]
        : ['400 Bad Request', requestErrors.invalid()];
  const body = JSON.stringify(problemOf(problem, requestId));
  const head = [
    `HTTP/1.1 ${status}`,
    'Content-Type: application/problem+json',
    `Content-Length: ${Buffer.byteLength(body)}`,
    `X-Request-Id: ${requestId}`,
    'Connection: close',
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`);
}

async function bind(app: FastifyInstance, where: { host: string; port: number }): Promise<number> {
  try {
    await app.listen({ host: where.host, port: where.port });
  } catch (error) {
    const make = {
      EADDRINUSE: listenErrors.port_taken,
      EACCES: listenErrors.not_allowed,
      EADDRNOTAVAIL: listenErrors.no_such_address,
      ENOTFOUND: listenErrors.no_such_address,
    }[(error as NodeJS.ErrnoException).code ?? ''];
    throw make ? make({ host: where.host, port: where.port }, error) : error;
  }
  return (app.server.address() as AddressInfo).port;
}

async function keepCertificateFresh(
  server: HttpsServer,
  { certificates, clock, log }: PublicServerOptions,
  signal: AbortSignal,
): Promise<void> {
  for (let shown = (await certificates.current()).cert; ;) {
    await clock.sleep(RENEWAL_CHECK_MS, signal).catch(() => undefined);
    if (signal.aborted) return;
    try {
      const next = await certificates.current();
      if (next.cert === shown) continue;
      server.setSecureContext({ ...TLS_SETTINGS, ...next });
      shown = next.cert;
      log.info({}, 'the server certificate was renewed');
    } catch (error) {
      log.error({ err: error }, 'the server certificate could not be renewed; the old one stays');
    }
  }
}

async function closeInTime(app: FastifyInstance, clock: Clock, deadlineMs: number): Promise<void> {
  const waiting = new AbortController();
  const deadline = clock.sleep(deadlineMs, waiting.signal).then(
    () => app.server.closeAllConnections(),
    () => undefined,
  );
  await app.close();
  waiting.abort();
  await deadline;
}
