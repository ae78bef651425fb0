import { lookup as resolveHost } from 'node:dns/promises';
import http, { type IncomingMessage } from 'node:http';
import https from 'node:https';
import { isIP, type LookupFunction } from 'node:net';
import { defineErrors } from '@holdfast/base';
import ipaddr from 'ipaddr.js';

/** What can go wrong with a request to an address that a tenant gave. */
export const egressErrors = defineErrors('egress', {
  invalid_url: ['invalid', 'The address must be https://, without user name or password'],
  refused_address: ['forbidden', 'The address lies in a network that this server does not call'],
  unresolved: ['unavailable', 'The host name has no address'],
  unreachable: ['unavailable', 'The other side could not be reached'],
  timed_out: ['unavailable', 'The other side did not answer in time'],
  reply_too_large: ['invalid', 'The reply is larger than allowed'],
});

/** A request to the outside. Redirects are replies like others, followed by nobody. */
export type EgressRequest = {
  readonly url: string;
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  /** From the first step to the last byte of the reply. */
  readonly timeoutMs: number;
  readonly maxReplyBytes: number;
  /** Trusted CAs (PEM) instead of the well-known ones. */
  readonly ca?: string;
  readonly signal?: AbortSignal;
};

/** What came back. */
export type EgressReply = {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly body: Buffer;
};

/** Finds the addresses of a host name. */
export type Resolve = (host: string) => Promise<readonly string[]>;

/** Makes requests to addresses that tenants give, and to nothing that only this server can reach. */
export type Egress = { request(request: EgressRequest): Promise<EgressReply> };

/** The only IPv6 addresses that IANA gives out to anybody. */
const GLOBAL_UNICAST = ipaddr.IPv6.parseCIDR('2000::/3');
/** Public addresses that answer clouds' own machines with credentials. Azure: 168.63.129.16. */
const METADATA_ADDRESSES = new Set(['168.63.129.16']);

/**
 * Makes the one client for addresses given by tenants.
 *
 * A host is resolved once; every address it has must be globally routable unicast, or lie in one of the operator's
 * `allowedNetworks` (CIDR or single addresses), and the connection goes to exactly that checked address. A name that is
 * answered differently a moment later therefore leads nowhere. Plain http:// is for allowed networks alone.
 */
export function createEgress(options: { allowedNetworks: readonly string[]; resolve?: Resolve }): Egress {
  const allowed = options.allowedNetworks.map(parseNetwork);
  const resolve = options.resolve ?? resolveAll;
  return {
    async request(request) {
      const url = parseUrl(request.url);
      const deadline = AbortSignal.timeout(request.timeoutMs);
      const signal = request.signal ? AbortSignal.any([request.signal, deadline]) : deadline;
      try {
        const address = await aborting(chooseAddress(url, allowed, resolve), signal);
        return await send(url, address, { ...request, signal });
      } catch (error) {
        if (deadline.aborted) throw egressErrors.timed_out({ host: url.hostname, timeoutMs: request.timeoutMs }, error);
        throw error;
      }
    },
  };
}

type Network = readonly [ipaddr.IPv4 | ipaddr.IPv6, number];

/** Reads `10.0.0.0/8`, `fd00::/8` or a single address. @throws TypeError when it is none of them. */
export function parseNetwork(text: string): Network {
  try {
    if (text.includes('/')) return ipaddr.parseCIDR(text);
    const address = ipaddr.parse(text);
    return [address, address.kind() === 'ipv4' ? 32 : 128];
  } catch (error) {
    throw new TypeError(`not a network: ${text}`, { cause: error });
  }
}

function parseUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isHttp = url?.protocol === 'https:' || url?.protocol === 'http:';
  if (!url || !isHttp || url.username !== '' || url.password !== '') throw egressErrors.invalid_url();
  return url;
}

async function chooseAddress(url: URL, allowed: readonly Network[], resolve: Resolve): Promise<string> {
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const addresses = isIP(host) ? [host] : await resolve(host).catch((error: unknown) => unresolved(host, error));
  if (addresses.length === 0) unresolved(host);
  for (const address of addresses) {
    const isListed = isAllowed(address, allowed);
    if (!isListed && url.protocol === 'http:') throw egressErrors.invalid_url();
    // One bad address among good ones is an attempt, not an accident.
    if (!isListed && !isGloballyRoutable(address)) throw egressErrors.refused_address({ host });
  }
  return addresses[0]!;
}

function unresolved(host: string, cause?: unknown): never {
  throw egressErrors.unresolved({ host }, cause);
}

/** An IPv6 address that only wraps an IPv4 one counts as that. */
function parseAddress(text: string): ipaddr.IPv4 | ipaddr.IPv6 {
  return ipaddr.process(text);
}

function isAllowed(address: string, allowed: readonly Network[]): boolean {
  const parsed = parseAddress(address);
  return allowed.some(([network, prefix]) => network.kind() === parsed.kind() && parsed.match(network, prefix));
}

/**
 * Whether an address belongs to the public internet: not loopback, private, link-local, carrier-grade NAT, multicast,
 * documentation, tunnel or translation prefix, nor a known metadata service; and of IPv6 within what is given out as global
 * unicast (RFC 4291, 2.5.4), since `::a.b.c.d` and others outside of it reach what a tunnel device makes of them.
 */
export function isGloballyRoutable(address: string): boolean {
  const parsed = parseAddress(address);
  if (parsed.range() !== 'unicast' || METADATA_ADDRESSES.has(parsed.toString())) return false;
  return parsed.kind() === 'ipv4' || parsed.match(GLOBAL_UNICAST);
}

async function resolveAll(host: string): Promise<readonly string[]> {
  return (await resolveHost(host, { all: true, order: 'verbatim' })).map(({ address }) => address);
}

async function send(url: URL, address: string, request: EgressRequest & { signal: AbortSignal }): Promise<EgressReply> {
  const family = isIP(address);
  const toChecked: LookupFunction = (_host, options, done) =>
    options.all ? done(null, [{ address, family }]) : done(null, address, family);
  const options = {
    method: request.method,
    headers: { ...request.headers, ...(request.body !== undefined && { 'content-length': byteLength(request.body) }) },
    // No shared connections: a kept one would have been checked for somebody else.
    agent: false,
    lookup: toChecked,
    signal: request.signal,
    ...(request.ca !== undefined && { ca: request.ca }),
  } as const;
  const outgoing = url.protocol === 'https:' ? https.request(url, options) : http.request(url, options);
  const reply = await new Promise<IncomingMessage>((resolve, reject) => {
    outgoing.on('response', resolve);
    outgoing.on('error', (error) => reject(egressErrors.unreachable({ host: url.hostname }, error)));
    outgoing.end(request.body);
  });
  return { status: reply.statusCode ?? 0, headers: reply.headers, body: await readReply(reply, url, request) };
}

const byteLength = (body: string | Uint8Array) => String(Buffer.byteLength(body));

async function readReply(reply: IncomingMessage, url: URL, request: EgressRequest): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of reply as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > request.maxReplyBytes) throw egressErrors.reply_too_large({ maxReplyBytes: request.maxReplyBytes });
      chunks.push(chunk);
    }
  } catch (error) {
    reply.destroy();
    if ((error as { code?: string }).code === egressErrors.reply_too_large.code) throw error;
    throw egressErrors.unreachable({ host: url.hostname }, error);
  }
  return Buffer.concat(chunks);
}

function aborting<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason as Error);
    signal.addEventListener('abort', onAbort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
