import { request } from 'node:http';
import path from 'node:path';
import { CodedError, retry, type ErrorKind, type RetryPolicy } from '@holdfast/base';
import { z } from 'zod';
import { openSocketHost } from '../platform/embedded-postgres.ts';
import { operations, type Keystore, type OperationName } from './operations.ts';
import { keystoreErrors } from './errors.ts';
import { KEYSTORE_SOCKET, OPERATIONS_PATH, READINESS_PATH } from './serve.ts';

/** A keystore in another process. */
export type KeystoreClient = Keystore & {
  /** `ok`, or what is wrong. */
  checkReadiness(): Promise<string>;
};

const REPLY_MS = 20_000;
const READINESS_MS = 3_000;
const MAX_REPLY_BYTES = 4 * 1024 * 1024;
/** Bridges a restart of the keystore, some seconds; whoever needs it longer is told that it is away. */
const RETRIES: RetryPolicy = { attempts: 8, firstDelayMs: 200, maxDelayMs: 1_000 };

/**
 * Reaches the keystore of a folder by its socket.
 *
 * Each function throws what its operation declares, and `keystore.away` where nothing answers: by then it was asked again
 * for some seconds, unless it had taken in what must not be asked twice.
 */
export function keystoreClient(homeDir: string, retries: RetryPolicy = RETRIES): KeystoreClient {
  const names = Object.keys(operations) as OperationName[];
  const calls = names.map((name) => [name, (body: unknown) => retryOperation(homeDir, { name, body, retries })]);
  return {
    ...(Object.fromEntries(calls) as Keystore),
    async checkReadiness() {
      try {
        await exchange(homeDir, { method: 'GET', path: READINESS_PATH, timeoutMs: READINESS_MS });
        return 'ok';
      } catch (error) {
        return error instanceof CodedError ? error.message : 'The keystore does not answer';
      }
    },
  };
}

type Call = { readonly name: OperationName; readonly body: unknown; readonly retries: RetryPolicy };

async function retryOperation(homeDir: string, { name, body, retries }: Call): Promise<unknown> {
  const { isRepeatable, reply } = operations[name];
  const ask = () => exchange(homeDir, { method: 'POST', path: OPERATIONS_PATH + name, body: JSON.stringify(body) });
  const answer = await retry(
    () =>
      ask().catch((error: unknown) => {
        if (error instanceof Lost && error.wasTaken && !isRepeatable) throw new Final(error);
        throw error instanceof Lost ? keystoreErrors.away({}, error) : error;
      }),
    retries,
  ).catch((error: unknown) => {
    throw error instanceof Final ? keystoreErrors.away({ wasTaken: true }, error.cause) : error;
  });
  const parsed = reply.safeParse(answer);
  if (!parsed.success) throw keystoreErrors.fault({ operation: name });
  return parsed.data;
}

/** No answer came. */
class Lost extends Error {
  /** Whether the keystore may have begun. */
  readonly wasTaken: boolean;

  constructor(wasTaken: boolean, cause: unknown) {
    super('no answer came', { cause });
    this.wasTaken = wasTaken;
  }
}

/** No answer came, and the question must not be asked again. */
class Final extends Error {
  constructor(cause: Lost) {
    super(cause.message, { cause });
  }
}

const Refusal = z.object({
  error: z.object({
    code: z.string(),
    kind: z.string(),
    message: z.string(),
    details: z.record(z.string(), z.unknown()),
  }),
});

type Asked = {
  readonly method: string;
  readonly path: string;
  readonly body?: string;
  readonly timeoutMs?: number;
};

async function exchange(homeDir: string, asked: Asked): Promise<unknown> {
  const folder = openFolder(homeDir);
  try {
    const { status, text } = await sendOver(path.join(folder.host, KEYSTORE_SOCKET), asked);
    const json = parseJson(text);
    if (status === 200) return json;
    const refusal = Refusal.safeParse(json);
    if (!refusal.success) throw keystoreErrors.fault({ status });
    const { code, kind, message, details } = refusal.data.error;
    throw new CodedError({ code, kind: kind as ErrorKind, message, details });
  } finally {
    folder.close();
  }
}

function openFolder(homeDir: string): { host: string; close(): void } {
  try {
    return openSocketHost(homeDir);
  } catch (error) {
    throw new Lost(false, error);
  }
}

function sendOver(
  socketPath: string,
  { body, timeoutMs = REPLY_MS, ...asked }: Asked,
): Promise<{ readonly status: number; readonly text: string }> {
  return new Promise((resolve, reject) => {
    let isConnected = false;
    const lose = (error: unknown) => reject(new Lost(isConnected, error));
    const headers = body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) };
    const sent = request({ ...asked, socketPath, headers, agent: false }, (reply) => {
      const chunks: Buffer[] = [];
      let size = 0;
      reply.on('data', (chunk: Buffer) => {
        size += chunk.length;
        if (size > MAX_REPLY_BYTES) sent.destroy(new Error('the answer is too long'));
        else chunks.push(chunk);
      });
      reply.on('error', lose);
      reply.on('end', () => resolve({ status: reply.statusCode ?? 0, text: Buffer.concat(chunks).toString() }));
    });
    sent.once('socket', (socket) => socket.once('connect', () => (isConnected = true)));
    sent.setTimeout(timeoutMs, () => sent.destroy(new Error('no answer in time')));
    sent.on('error', lose);
    sent.end(body);
  });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
