import { createServer, type Server } from 'node:https';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { defineErrors, type Clock } from '@holdfast/base';
import { requestErrors, type Problem } from '@holdfast/contract';
import type { FastifyInstance, FastifyServerFactory } from 'fastify';
import type { Log } from './log.ts';
import { TLS_SETTINGS, type CertificateSource } from './tls.ts';

/** What keeps the public listener from being opened. */
export const listenErrors = defineErrors('listen', {
  port_taken: ['conflict', 'Another program listens on the port'],
  not_allowed: ['forbidden', 'This user may not listen on the port'],
  no_such_address: ['invalid', 'This machine has no such address'],
});

/** The public TLS listener, open from the first moment so that nobody else takes the port. */
export type PublicListener = {
  readonly port: number;
  /** For `createPublicApp`: makes the app answer the requests of this listener. */
  readonly serverFactory: FastifyServerFactory;
  /** Hands requests to the app; until then every one is answered 503. */
  serve(app: FastifyInstance): Promise<void>;
  /** Accepts no more, lets requests under way finish until the deadline, then cuts them off. */
  close(deadlineMs: number): Promise<void>;
};

/** Bodies have their routes' own deadlines: a large upload over a slow line takes as long as it takes. */
const TIMEOUTS = { keepAliveTimeout: 65_000, headersTimeout: 20_000, requestTimeout: 0 };
const RENEWAL_CHECK_MS = 60 * 60_000;

/**
 * Opens the port, presents the certificate, and keeps it fresh.
 *
 * Port 0 chooses a free one.
 * @throws listen.port_taken, listen.not_allowed, listen.no_such_address
 */
export async function openPublicListener(options: {
  address: { readonly host: string; readonly port: number };
  certificates: CertificateSource;
  log: Log;
  clock: Clock;
}): Promise<PublicListener> {
  const certificate = await options.certificates.current();
  const server = createServer({ ...TLS_SETTINGS, ...certificate, ...TIMEOUTS });
  server.on('request', (_request, reply) => reply.once('close', () => server.emit('answered')));
  server.on('request', answerStarting);
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  await bind(server, options.address);
  const closing = new AbortController();
  void keepCertificateFresh(server, certificate.cert, { ...options, signal: closing.signal });
  let served: FastifyInstance | undefined;
  return {
    port: (server.address() as AddressInfo).port,
    serverFactory: (handler) => {
      server.on('hand-over', () => server.off('request', answerStarting).on('request', handler));
      return server;
    },
    async serve(app) {
      served = app;
      await app.ready();
      server.emit('hand-over');
    },
    async close(deadlineMs) {
      closing.abort();
      await drain({ server, sockets }, options.clock, deadlineMs);
      await served?.close();
    },
  };
}

function answerStarting(_request: IncomingMessage, reply: ServerResponse): void {
  const { code, kind } = requestErrors.overloaded();
  const problem: Problem = { code, kind, title: 'The server is starting; try again', details: {}, requestId: 'none' };
  const headers = { 'content-type': 'application/problem+json', 'retry-after': '2', connection: 'close' };
  reply.writeHead(503, headers).end(JSON.stringify(problem));
}

async function bind(server: Server, { host, port }: { host: string; port: number }): Promise<void> {
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, host, () => {
        server.off('error', reject);
        resolve();
      });
    });
  } catch (error) {
    const make = {
      EADDRINUSE: listenErrors.port_taken,
      EACCES: listenErrors.not_allowed,
      EADDRNOTAVAIL: listenErrors.no_such_address,
      ENOTFOUND: listenErrors.no_such_address,
    }[(error as NodeJS.ErrnoException).code ?? ''];
    throw make ? make({ host, port }, error) : error;
  }
}

async function keepCertificateFresh(
  server: Server,
  presented: string,
  options: { certificates: CertificateSource; clock: Clock; log: Log; signal: AbortSignal },
): Promise<void> {
  for (let shown = presented; ;) {
    await options.clock.sleep(RENEWAL_CHECK_MS, options.signal).catch(() => undefined);
    if (options.signal.aborted) return;
    try {
      const next = await options.certificates.current();
      if (next.cert === shown) continue;
      server.setSecureContext({ ...TLS_SETTINGS, ...next });
      shown = next.cert;
      options.log.info({}, 'the server certificate was renewed');
    } catch (error) {
      options.log.error({ err: error }, 'the server certificate could not be renewed; the old one stays');
    }
  }
}

/**
 * Resolves when every connection has ended: idle ones at once, others with their answer, all at the deadline. `sockets` are
 * all there are: of one that never says a word of TLS, HTTP knows nothing.
 */
async function drain(
  { server, sockets }: { readonly server: Server; readonly sockets: ReadonlySet<Socket> },
  clock: Clock,
  deadlineMs: number,
): Promise<void> {
  const ended = new AbortController();
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  // A client keeps a connection that has just been answered: it does not know that we go.
  server.on('answered', () => setImmediate(() => server.closeIdleConnections()));
  server.closeIdleConnections();
  clock.sleep(deadlineMs, ended.signal).then(
    () => {
      server.closeAllConnections();
      for (const socket of sockets) socket.destroy();
    },
    () => undefined,
  );
  await closed;
  ended.abort();
}
