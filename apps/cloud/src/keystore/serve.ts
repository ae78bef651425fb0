import { chmod, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import path from 'node:path';
import { CodedError, httpStatusOf } from '@holdfast/base';
import { openSocketHost } from '../platform/embedded-postgres.ts';
import type { Log } from '../platform/log.ts';
import { isOperation, operations, type OperationName } from './operations.ts';
import type { KeystoreContext } from './operation.ts';
import { peerUidOf } from './native-calls.ts';
import { keystoreErrors } from './errors.ts';
import { createTurns, type InTurn } from './turns.ts';

/** The socket of the keystore below HOLDFAST_HOME. */
export const KEYSTORE_SOCKET = 'keystore.sock';
/** Where the operations are, before their names. */
export const OPERATIONS_PATH = '/v1/';
/** Asks whether the keystore can work. */
export const READINESS_PATH = '/readyz';

/** Requests that are worked on at once; one more is told to come again. */
export const MAX_REQUESTS = 16;
const MAX_CONNECTIONS = 64;
const REQUEST_MS = 10_000;
const DRAIN_MS = 2_000;

/** The listener of the keystore. */
export type KeystoreServer = {
  /** Takes no more requests and ends those under way within 2 s. */
  close(): Promise<void>;
};

/** Serves the operations on a socket in a folder that is this user's alone: mode 0600, and no other user's process is heard. */
export async function serveKeystore(homeDir: string, context: KeystoreContext, log: Log): Promise<KeystoreServer> {
  const busy = { requests: 0 };
  const inTurn = createTurns();
  const server = createServer({ maxHeaderSize: 8_192, connectionsCheckingInterval: 1_000 }, (request, reply) => {
    busy.requests++;
    reply.once('close', () => busy.requests--);
    const answering =
      busy.requests > MAX_REQUESTS ? Promise.reject(keystoreErrors.busy()) : answer({ ...context, inTurn }, request);
    answering.then(
      (body) => send(reply, 200, body),
      (error: unknown) => refuse(log, error, reply),
    );
  });
  server.headersTimeout = REQUEST_MS;
  server.requestTimeout = REQUEST_MS;
  server.maxConnections = MAX_CONNECTIONS;
  server.prependListener('connection', (socket) => {
    const uid = peerUidOf(socket);
    if (process.platform !== 'linux' || uid === process.geteuid?.()) return;
    log.warn({ uid }, 'another user reached the socket of the keystore, and was not heard');
    socket.destroy();
  });
  const folder = await bind(server, homeDir);
  return {
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeIdleConnections();
      const hard = setTimeout(() => server.closeAllConnections(), DRAIN_MS);
      await closed;
      clearTimeout(hard);
      folder.close();
    },
  };
}

async function bind(server: Server, homeDir: string): Promise<{ close(): void }> {
  const socketFile = path.join(homeDir, KEYSTORE_SOCKET);
  await rm(socketFile, { force: true }); // Left by a killed process; the caller holds the keystore's lock.
  const folder = openSocketHost(homeDir);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ path: path.join(folder.host, KEYSTORE_SOCKET) }, () => {
      server.off('error', reject);
      resolve();
    });
  });
  await chmod(socketFile, 0o600);
  return folder;
}

type Serving = KeystoreContext & { readonly inTurn: InTurn };

async function answer(context: Serving, request: IncomingMessage): Promise<unknown> {
  const { method, url = '' } = request;
  if (method === 'GET' && url === READINESS_PATH) return context.database.withoutTenant(async () => ({ ready: true }));
  const name = url.startsWith(OPERATIONS_PATH) ? url.slice(OPERATIONS_PATH.length) : '';
  if (method !== 'POST' || !isOperation(name)) throw keystoreErrors.unknown_form({ field: 'operation' });
  return perform(context, name, await readBody(request, operations[name].maxBodyBytes));
}

/** Judges a request by the shape of its operation, and does the work. @throws keystore.unknown_form, and what the work throws */
export async function perform(
  { inTurn = (_, work) => work(), ...context }: KeystoreContext & { readonly inTurn?: InTurn },
  name: OperationName,
  body: unknown,
): Promise<unknown> {
  const { request } = operations[name];
  const work = operations[name].work as (context: KeystoreContext, request: unknown) => Promise<unknown>;
  const parsed = request.safeParse(body);
  // The parser's own words are not kept: they may quote what must not be written down.
  if (!parsed.success) throw keystoreErrors.unknown_form({ field: parsed.error.issues[0]?.path.join('.') ?? '' });
  return inTurn(parsed.data.tenantUid, () => work(context, parsed.data));
}

async function readBody(request: IncomingMessage, maxBytes: number): Promise<unknown> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxBytes) throw keystoreErrors.unknown_form({ field: 'body', maxBytes });
    chunks.push(chunk);
  }
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks)));
  } catch {
    throw keystoreErrors.unknown_form({ field: 'body' });
  }
}

function refuse(log: Log, error: unknown, reply: ServerResponse): void {
  if (reply.destroyed) return;
  if (!(error instanceof CodedError)) log.error({ err: error }, 'a request met a fault of the keystore');
  const { code, kind, message, details } = error instanceof CodedError ? error : keystoreErrors.fault();
  // What is left of a body that is too long is not waited for.
  reply.setHeader('connection', 'close');
  send(reply, httpStatusOf[kind], { error: { code, kind, message, details } });
}

function send(reply: ServerResponse, status: number, body: unknown): void {
  const text = JSON.stringify(body);
  reply.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }).end(text);
}
