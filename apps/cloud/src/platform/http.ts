import type { Readable } from 'node:stream';
import { CodedError, httpStatusOf, type Clock } from '@holdfast/base';
import {
  authErrors,
  DEFAULT_MAX_BODY_BYTES,
  isBytes,
  requestErrors,
  storageErrors,
  type Problem,
  type Route,
} from '@holdfast/contract';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Log } from './log.ts';
import { translateDatabaseError } from './postgres-errors.ts';
import { readForm, readJson } from './reading.ts';

declare module 'fastify' {
  // oxlint-disable-next-line typescript/consistent-type-definitions -- only an interface can be merged
  interface FastifyContextConfig {
    /** The contract of this address. An address has one, or says why it is open. */
    contract?: Route;
    /** Why an address outside the contract (a page, a probe) asks for no credential. */
    open?: string;
  }
}

/** What preparing a server for contract routes needs. */
export type HttpOptions = { readonly log: Log; readonly clock: Clock };

const statusOfCode: Readonly<Record<string, number>> = {
  [requestErrors.too_large.code]: 413,
  [requestErrors.unsupported_media.code]: 415,
  [requestErrors.misdirected.code]: 421,
  [requestErrors.no_room.code]: 507,
  [storageErrors.full.code]: 507,
};

const BODY_DEADLINE_MS = 20_000;

/**
 * Prepares a Fastify server for contract routes, before any is added: problem JSON for every failure, bounded bodies.
 *
 * From here on every route needs a contract, or `config.open` with the reason why it asks for no credential; a route
 * without either does not start.
 */
export function prepareHttp(app: FastifyInstance, options: HttpOptions): void {
  app.addHook('onRoute', (route) => {
    const { contract, open } = route.config ?? {};
    if (!contract && !open) throw new Error(`${String(route.method)} ${route.url} declares no permission`);
  });
  addBodyParser(app, options.clock);
  app.setErrorHandler((error, request, reply) => sendProblem(options.log, error, request, reply));
  app.setNotFoundHandler(async () => {
    throw requestErrors.no_route();
  });
}

/** One parser for all types: what a body may be is the contract's decision. */
function addBodyParser(app: FastifyInstance, clock: Clock): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', (request: FastifyRequest, payload: Readable, done) => {
    const contract = request.routeOptions.config.contract;
    if (contract && isBytes(contract.body)) {
      if (mediaTypeOf(request) !== contract.body.bytes) return done(requestErrors.unsupported_media());
      return done(null, payload);
    }
    readBody(request, payload, { contract, clock }).then(
      (body) => done(null, body),
      (error: unknown) => done(error as Error),
    );
  });
}

type Reading = { readonly contract: Route | undefined; readonly clock: Clock };

async function readBody(request: FastifyRequest, payload: Readable, { contract, clock }: Reading): Promise<unknown> {
  const mediaType = mediaTypeOf(request);
  const isJson = contract?.body !== undefined && mediaType === 'application/json';
  const isForm = contract?.form === true && mediaType === 'application/x-www-form-urlencoded';
  const isEncoded = request.headers['content-encoding'] !== undefined;
  const bytes = await collect(payload, contract?.maxBodyBytes ?? DEFAULT_MAX_BODY_BYTES, clock);
  if (bytes.length === 0) return undefined;
  if (isEncoded || (!isJson && !isForm)) throw requestErrors.unsupported_media();
  return isForm ? readForm(bytes) : readJson(bytes);
}

function mediaTypeOf(request: FastifyRequest): string {
  const [type = '', ...parameters] = (request.headers['content-type'] ?? '').toLowerCase().split(';');
  const charset = parameters.map((item) => item.trim()).find((item) => item.startsWith('charset='));
  return charset === undefined || /^charset="?utf-8"?$/.test(charset) ? type.trim() : 'unknown charset';
}

/** Reads at most `maxBytes`, within a deadline: a body that drips in holds nothing for long. */
async function collect(payload: Readable, maxBytes: number, clock: Clock): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  const stop = new AbortController();
  const tooSlow = () => payload.destroy(requestErrors.interrupted({ reason: 'the body did not arrive in time' }));
  clock.sleep(BODY_DEADLINE_MS, stop.signal).then(tooSlow, () => undefined);
  try {
    for await (const chunk of payload as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > maxBytes) throw requestErrors.too_large({ maxBytes });
      chunks.push(chunk);
    }
  } finally {
    stop.abort();
  }
  return Buffer.concat(chunks);
}

function sendProblem(log: Log, thrown: unknown, request: FastifyRequest, reply: FastifyReply): void {
  const error = fastifyFault(translateDatabaseError(thrown));
  if (reply.sent) return;
  if (!(error instanceof CodedError)) {
    log.error({ err: error, requestId: request.id }, 'a request met a fault of the server');
    const problem = { code: 'server.internal', kind: 'internal', title: 'The server met a fault of its own' } as const;
    void send(reply, 500, { ...problem, details: {}, requestId: request.id });
    return;
  }
  const { code, kind, message: title, details } = error;
  if (kind === 'unauthenticated') void reply.header('www-authenticate', challengeOf(code));
  const { retryAfterSeconds, dpopNonce } = details;
  if (typeof retryAfterSeconds === 'number') void reply.header('retry-after', String(retryAfterSeconds));
  if (typeof dpopNonce === 'string') void reply.header('dpop-nonce', dpopNonce);
  // What is left of a body that was not read would be taken for the next request.
  if (!request.raw.readableEnded) void reply.header('connection', 'close');
  void send(reply, statusOfCode[code] ?? httpStatusOf[kind], { code, kind, title, details, requestId: request.id });
}

/** What a client is asked for, in the words of RFC 6750 and RFC 9449. */
function challengeOf(code: string): string {
  const algorithms = 'algs="EdDSA ES256"';
  return code === authErrors.use_nonce.code
    ? `DPoP error="use_dpop_nonce", ${algorithms}`
    : `Bearer, DPoP ${algorithms}`;
}

function send(reply: FastifyReply, status: number, problem: Problem): FastifyReply {
  return reply.status(status).type('application/problem+json').send(JSON.stringify(problem));
}

/** The framework's own refusals, in our words. */
function fastifyFault(error: unknown): unknown {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (!code.startsWith('FST_ERR')) return code === 'ECONNRESET' ? requestErrors.interrupted({}, error) : error;
  if (code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE') return requestErrors.unsupported_media({}, error);
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE') return requestErrors.too_large({}, error);
  if (code === 'FST_ERR_CTP_INVALID_CONTENT_LENGTH') return requestErrors.interrupted({}, error);
  if (code === 'FST_ERR_BAD_URL' || code === 'FST_ERR_CTP_EMPTY_TYPE') return requestErrors.invalid({}, error);
  if (code === 'FST_ERR_MAX_PARAM_LENGTH') return requestErrors.no_route({}, error);
  return error;
}
