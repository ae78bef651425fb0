import { Agent, request, type RequestOptions } from 'node:https';
import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { type CodedError, defineErrors } from '@holdfast/base';
import type { Fetch, FetchInit } from '@holdfast/sdk';
import { cloudErrors } from './errors.ts';

/** How the server is reached. */
export type HttpsSettings = {
  /** The only CA that is trusted, PEM; the system's when undefined. */
  readonly ca: string | undefined;
  /** `HTTPS_PROXY` and `NO_PROXY` as the environment has them. */
  readonly proxyEnv?: { readonly HTTPS_PROXY?: string; readonly NO_PROXY?: string };
  /** Only for fetching a CA whose hash is known: what comes is compared with it. */
  readonly acceptAnyCertificate?: boolean;
  /** Connections at once; the others wait. */
  readonly maxConnections?: number;
  /** The slowest that a reply may come; shorter in tests. */
  readonly leastPace?: Pace;
};

/** In so many moments, one every `everyMs`, in which a reply was waited for, so many bytes have to come. */
export type Pace = { readonly everyMs: number; readonly moments: number; readonly bytes: number };

/** A `fetch` over connections that are kept; `close` ends them. */
export type HttpsFetch = { readonly fetch: Fetch; readonly close: () => void };

/** What a proxy can be the cause of. All but a wrong address may pass by itself, so none of them ends an agent. */
export const proxyErrors = defineErrors('proxy', {
  address_invalid: ['invalid', 'HTTPS_PROXY is not the address of an HTTP proxy'],
  unreachable: ['unavailable', 'The proxy does not answer'],
  refused: ['unavailable', 'The proxy did not let the connection to the server through'],
  wants_credentials: ['unavailable', 'The proxy wants a user name and a password, or does not take these'],
});

/** What is wrong with the certificate of whoever answers. Both may pass by themselves, so neither ends an agent. */
export const certificateErrors = defineErrors('certificate', {
  wrong_time: ['unavailable', "The server's certificate does not hold at the time that this computer's clock shows"],
  untrusted: [
    'unavailable',
    "What answers at the server's address has a certificate that this computer does not trust",
  ],
});

/** Of OpenSSL's verification and of Node's comparison of names. */
const wrongTime: readonly unknown[] = ['CERT_NOT_YET_VALID', 'CERT_HAS_EXPIRED'];
const untrusted: readonly unknown[] = [
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'CERT_SIGNATURE_FAILURE',
  'ERR_TLS_CERT_ALTNAME_INVALID',
];

/** How long a server may say nothing. */
const SILENCE_MS = 60_000;
/** How long an answer may take to begin once all was sent, whatever comes meanwhile. */
const BEGINNING_MS = 300_000;
/** 128 KiB in two minutes of waiting: any link has more, and who sends a byte a minute holds nothing up for long. */
const LEAST_PACE: Pace = { everyMs: 1000, moments: 120, bytes: 128 * 1024 };
const SMALL_REPLY_BYTES = 256 * 1024;

/**
 * Makes a `fetch` that trusts one CA, goes through the proxy that is set, and keeps its connections.
 *
 * An address without a scheme is an HTTP proxy's, as other programs take it. What is not an address is never passed over
 * in silence: requests would go past the proxy. The fetch throws `proxyErrors` or `certificateErrors` where they are the cause.
 */
export function createHttpsFetch(settings: HttpsSettings): HttpsFetch {
  const { ca, maxConnections = 16, acceptAnyCertificate = false, leastPace = LEAST_PACE } = settings;
  const given = settings.proxyEnv?.HTTPS_PROXY;
  const proxy = given === undefined ? undefined : readProxy(given);
  if (given !== undefined && !proxy) {
    const remedy = 'set HTTPS_PROXY to http://HOST:PORT, or unset it';
    return { fetch: () => Promise.reject(proxyErrors.address_invalid({ remedy })), close: () => undefined };
  }
  const agent = new Agent({
    keepAlive: true,
    maxSockets: maxConnections,
    minVersion: 'TLSv1.2',
    rejectUnauthorized: !acceptAnyCertificate,
    ...(ca === undefined ? {} : { ca }),
    ...(proxy && { proxyEnv: { ...settings.proxyEnv, HTTPS_PROXY: proxy.href } }),
  });
  const fetch: Fetch = async (url, init) => {
    try {
      return await toResponse(await send(url, init, { agent }), leastPace);
    } catch (error) {
      const server = new URL(url);
      throw (proxy && proxyFault(error, proxy, server)) ?? certificateFault(error, server) ?? error;
    }
  };
  return { fetch, close: () => agent.destroy() };
}

function readProxy(text: string): URL | undefined {
  const address = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`;
  if (!URL.canParse(address)) return undefined;
  const url = new URL(address);
  return ['http:', 'https:'].includes(url.protocol) ? url : undefined;
}

/** What a request failed with, if the certificate is the cause. */
function certificateFault(error: unknown, { host }: URL): CodedError | undefined {
  const { code } = error as { code?: unknown };
  if (wrongTime.includes(code)) {
    const clock = new Date().toISOString();
    const remedy = `set this computer's clock, which says ${clock}; if it is right, the server needs a new certificate`;
    return certificateErrors.wrong_time({ server: host, clock, remedy }, error);
  }
  if (!untrusted.includes(code)) return undefined;
  const remedy = "see that the address is the server's; if its certificate was changed: holdfast agent enroll";
  return certificateErrors.untrusted({ server: host, remedy }, error);
}

/** What a request failed with, if the proxy is the cause. Its name and password are in no error. */
function proxyFault(error: unknown, proxy: URL, server: URL): CodedError | undefined {
  const { code, statusCode } = error as { code?: unknown; statusCode?: unknown };
  const facts = { proxy: proxy.host, server: server.host };
  if (code === 'ERR_PROXY_TUNNEL') {
    const refusal = { ...facts, ...(typeof statusCode === 'number' && { status: statusCode }) };
    if (statusCode === 407) {
      const remedy = 'set HTTPS_PROXY to http://NAME:PASSWORD@HOST:PORT';
      return proxyErrors.wants_credentials({ ...refusal, remedy }, error);
    }
    const remedy = `let the proxy connect to ${server.host}, or put it into NO_PROXY`;
    return proxyErrors.refused({ ...refusal, remedy }, error);
  }
  if (!isConnectingTo(proxy, error)) return undefined;
  const remedy = `check HTTPS_PROXY, or put ${server.hostname} into NO_PROXY`;
  return proxyErrors.unreachable({ ...facts, remedy }, error);
}

/** Whether no connection came about, and it would have been one to the proxy. */
function isConnectingTo(proxy: URL, error: unknown): boolean {
  if (error instanceof AggregateError) return error.errors.some((each) => isConnectingTo(proxy, each));
  const { syscall, hostname, port } = error as { syscall?: unknown; hostname?: unknown; port?: unknown };
  const proxyPort = Number(proxy.port) || (proxy.protocol === 'https:' ? 443 : 80);
  return syscall === 'getaddrinfo' ? hostname === proxy.hostname : syscall === 'connect' && port === proxyPort;
}

async function send(url: string, init: FetchInit, options: RequestOptions): Promise<IncomingMessage> {
  const { method, headers, body, signal } = init;
  if (body instanceof ReadableStream) throw new TypeError('bodies are sent whole');
  return new Promise<IncomingMessage>((resolve, reject) => {
    const length = body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) };
    const sent = request(url, { ...options, method, headers: { ...headers, ...length }, ...(signal && { signal }) });
    sent.setTimeout(SILENCE_MS, () => sent.destroy(new Error('the server has gone silent')));
    let late: NodeJS.Timeout | undefined;
    sent.once('finish', () => (late = setTimeout(() => sent.destroy(cloudErrors.reply_slow()), BEGINNING_MS).unref()));
    sent.once('response', (reply) => {
      clearTimeout(late);
      resolve(reply);
    });
    sent.once('error', reject);
    sent.once('close', () => clearTimeout(late));
    sent.end(body);
  });
}

/**
 * Ends a reply that comes more slowly than it may. Only the time counts in which it is waited for: who reads it may be
 * slow.
 */
function keepPace(reply: IncomingMessage, { everyMs, moments, bytes }: Pace): void {
  const { socket } = reply;
  let [waited, before] = [0, socket.bytesRead];
  const look = () => {
    if (reply.complete || reply.readableLength > 0 || ++waited < moments) return;
    if (socket.bytesRead - before < bytes) reply.destroy(cloudErrors.reply_slow());
    [waited, before] = [0, socket.bytesRead];
  };
  const timer = setInterval(look, everyMs).unref();
  reply.once('close', () => clearInterval(timer));
}

/** Small replies are read at once: the connection is free sooner, and a stream costs more than they do. */
async function toResponse(reply: IncomingMessage, pace: Pace): Promise<Response> {
  keepPace(reply, pace);
  const status = reply.statusCode ?? 0;
  const headers = Object.entries(reply.headers).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, [value].flat().join(', ')] as [string, string]],
  );
  const isSmall = Number(reply.headers['content-length'] ?? Infinity) <= SMALL_REPLY_BYTES;
  if (!isSmall && status !== 204) return new Response(Readable.toWeb(reply) as ReadableStream, { status, headers });
  const chunks: Buffer[] = [];
  for await (const chunk of reply as AsyncIterable<Buffer>) chunks.push(chunk);
  return new Response(status === 204 ? null : Buffer.concat(chunks), { status, headers });
}
