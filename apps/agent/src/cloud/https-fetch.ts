import { Agent, request, type RequestOptions } from 'node:https';
import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import type { Fetch, FetchInit } from '@holdfast/sdk';

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
};

/** A `fetch` over connections that are kept; `close` ends them. */
export type HttpsFetch = { readonly fetch: Fetch; readonly close: () => void };

/** How long a server may say nothing. */
const SILENCE_MS = 60_000;
const SMALL_REPLY_BYTES = 256 * 1024;

/** Makes a `fetch` that trusts one CA, goes through the proxy that is set, and keeps its connections. */
export function createHttpsFetch(settings: HttpsSettings): HttpsFetch {
  const { ca, proxyEnv, maxConnections = 16, acceptAnyCertificate = false } = settings;
  const agent = new Agent({
    keepAlive: true,
    maxSockets: maxConnections,
    minVersion: 'TLSv1.2',
    rejectUnauthorized: !acceptAnyCertificate,
    ...(ca === undefined ? {} : { ca }),
    ...(proxyEnv ? { proxyEnv: { ...proxyEnv } } : {}),
  });
  return { fetch: (url, init) => send(url, init, { agent }), close: () => agent.destroy() };
}

async function send(url: string, init: FetchInit, options: RequestOptions): Promise<Response> {
  const { method, headers, body, signal } = init;
  if (body instanceof ReadableStream) throw new TypeError('bodies are sent whole');
  const reply = await new Promise<IncomingMessage>((resolve, reject) => {
    const length = body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) };
    const sent = request(url, { ...options, method, headers: { ...headers, ...length }, ...(signal && { signal }) });
    sent.setTimeout(SILENCE_MS, () => sent.destroy(new Error('the server has gone silent')));
    sent.once('response', resolve);
    sent.once('error', reject);
    sent.end(body);
  });
  return toResponse(reply);
}

/** Small replies are read at once: the connection is free sooner, and a stream costs more than they do. */
async function toResponse(reply: IncomingMessage): Promise<Response> {
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
