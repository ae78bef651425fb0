import type { Socket } from 'node:net';
import { newId, type Clock, type CodedError, type Random } from '@holdfast/base';
import { requestErrors, type Problem } from '@holdfast/contract';
import { fastify, type FastifyInstance, type FastifyReply } from 'fastify';
import type { PublicListener } from './listen.ts';
import type { Log } from './log.ts';
import type { Metrics } from './metrics.ts';

/** Names by which a program on this machine reaches a loopback listener. */
const LOOPBACK_NAMES = ['localhost', '127.0.0.1', '[::1]'];
/** Nothing may be loaded, framed or submitted; a page that needs more says so in its own reply. */
const CONTENT_SECURITY_POLICY = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/**
 * Makes the app behind a public listener: request ids, 421 for hosts that are not ours, security headers, access log,
 * metrics. Routes are added by others, who prepare it with `prepareHttp` first; `listener.serve` opens it.
 *
 * Without `publicUrl` the loopback names with the listener's port are ours; with it, its host alone.
 */
export function createPublicApp(options: {
  listener: PublicListener;
  publicUrl: string | undefined;
  /** Proxies (addresses or CIDR) whose `X-Forwarded-*` headers count. */
  trustedProxies: readonly string[];
  log: Log;
  metrics: Metrics;
  clock: Clock;
  random: Random;
}): FastifyInstance {
  const { listener, publicUrl, trustedProxies, clock, random } = options;
  const requestId = () => newId<'request'>(clock.now(), random);
  const app = fastify({
    serverFactory: listener.serverFactory,
    logger: false,
    exposeHeadRoutes: false,
    trustProxy: trustedProxies.length > 0 ? [...trustedProxies] : false,
    requestIdHeader: false,
    genReqId: requestId,
    // The body parser of the contract routes has each route's own limit.
    bodyLimit: Number.MAX_SAFE_INTEGER,
    routerOptions: { maxParamLength: 256 },
    frameworkErrors: (_error, request, reply) => refuse(reply, requestErrors.invalid(), request.id),
    clientErrorHandler: (error, socket) => refuseUnparsed(error, socket, requestId()),
  });
  const hosts = publicUrl === undefined ? loopbackHosts(listener.port) : [new URL(publicUrl).host];
  addHeaders(app);
  app.addHook('onRequest', async (request) => {
    if (!hosts.includes(request.host.toLowerCase())) throw requestErrors.misdirected();
  });
  observeRequests(app, options.log, options.metrics);
  return app;
}

function loopbackHosts(port: number): readonly string[] {
  return LOOPBACK_NAMES.flatMap((name) => (port === 443 ? [name, `${name}:443`] : [`${name}:${port}`]));
}

function addHeaders(app: FastifyInstance): void {
  app.addHook('onRequest', async (request, reply) => {
    void reply.headers({
      'x-request-id': request.id,
      'cache-control': 'no-store',
      'content-security-policy': CONTENT_SECURITY_POLICY,
      'cross-origin-opener-policy': 'same-origin',
      'cross-origin-resource-policy': 'same-origin',
      'referrer-policy': 'no-referrer',
      'x-content-type-options': 'nosniff',
    });
    // For localhost it would bind every other program on this machine, whatever its port, to TLS.
    const isLoopback = LOOPBACK_NAMES.includes(request.host.toLowerCase().replace(/:\d+$/, ''));
    if (!isLoopback) void reply.header('strict-transport-security', 'max-age=31536000');
  });
}

/** Counts and logs every answered request by the route's pattern: a path would name what it is about. */
function observeRequests(app: FastifyInstance, log: Log, metrics: Metrics): void {
  app.addHook('onResponse', async (request, reply) => {
    const facts = { method: request.method, route: request.routeOptions.url ?? 'none', status: reply.statusCode };
    metrics.observeRequest({ ...facts, seconds: reply.elapsedTime / 1_000 });
    log.info({ ...facts, requestId: request.id, durationMs: Math.round(reply.elapsedTime) }, 'request');
  });
}

function problemText({ code, kind, message: title, details }: CodedError, requestId: string): string {
  const problem: Problem = { code, kind, title, details, requestId };
  return JSON.stringify(problem);
}

function refuse(reply: FastifyReply, error: CodedError, requestId: string): void {
  void reply.code(400).type('application/problem+json').send(problemText(error, requestId));
}

/** Answers what is not HTTP at all, or too much of it, on the bare connection. */
function refuseUnparsed(error: NodeJS.ErrnoException, socket: Socket, requestId: string): void {
  // After half an answer another head would be read as part of its body.
  if (!socket.writable || error.code === 'ECONNRESET' || Reflect.get(socket, '_httpMessage'))
    return void socket.destroy();
  const [status, problem] = statusOfUnparsed(error.code);
  const body = problemText(problem, requestId);
  const head = [
    `HTTP/1.1 ${status}`,
    'content-type: application/problem+json',
    `content-length: ${Buffer.byteLength(body)}`,
    `x-request-id: ${requestId}`,
    'connection: close',
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`);
}

function statusOfUnparsed(code: string | undefined): [status: string, problem: CodedError] {
  if (code === 'HPE_HEADER_OVERFLOW') return ['431 Request Header Fields Too Large', requestErrors.too_large()];
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return ['408 Request Timeout', requestErrors.interrupted()];
  return ['400 Bad Request', requestErrors.invalid()];
}
