import { request as requestPlain, type IncomingMessage } from 'node:http';
import { request as requestSecurely } from 'node:https';
import { retry, type RetryPolicy } from '@holdfast/base';
import { remoteErrors, within } from './kms-remote.ts';

/** Where a Vault is reached. */
export type VaultPlace = {
  /** Without a final slash. */
  readonly address: string;
  /** Where its transit engine is. */
  readonly mount: string;
  readonly namespace: string | null;
  /** Certificates (PEM) of the authorities that are believed; those of the system where null. */
  readonly ca: string | null;
};

/** Reads the access token as it is now. @throws kms_remote.no_credentials */
export type ReadToken = () => Promise<Uint8Array>;

const TRY_MS = 2_500;
const RETRIES: RetryPolicy = { attempts: 3, firstDelayMs: 100, maxDelayMs: 500 };
const MAX_REPLY_BYTES = 1024 * 1024;

/** An answer other than one of the ones that fail for everything. */
export type VaultAnswer =
  | { readonly isDone: true; readonly data: unknown }
  /** The words of a refusal of this request: status 400 or 404. */
  | { readonly isDone: false; readonly reasons: readonly string[] };

/** Calls of one role: with its token, which is read again when it is refused, since what renews tokens writes new ones. */
export class VaultCalls {
  readonly #place: VaultPlace;
  readonly #readToken: ReadToken;
  #token: Uint8Array | undefined;

  constructor(place: VaultPlace, readToken: ReadToken) {
    this.#place = place;
    this.#readToken = readToken;
  }

  /** Calls the transit engine within its time. @throws kms_remote.away, kms_remote.throttled, kms_remote.denied, kms_remote.refused */
  call(method: 'GET' | 'POST', path: string, body?: unknown): Promise<VaultAnswer> {
    return within((signal) => retry(() => this.#withToken({ method, path, body, signal }), RETRIES, { signal }));
  }

  async #withToken(asked: Asked): Promise<VaultAnswer> {
    const token = (this.#token ??= await this.#readToken());
    const first = await send(this.#place, token, asked);
    if (first.status !== 403) return answerOf(first);
    this.#token = await this.#readToken();
    if (Buffer.compare(this.#token, token) === 0) return answerOf(first);
    return answerOf(await send(this.#place, this.#token, asked));
  }
}

type Asked = {
  readonly method: string;
  readonly path: string;
  readonly body: unknown;
  readonly signal: AbortSignal;
};
type Reply = { readonly status: number; readonly json: unknown };

function answerOf({ status, json }: Reply): VaultAnswer {
  const { data, errors } = (json ?? {}) as { readonly data?: unknown; readonly errors?: unknown };
  const reasons = Array.isArray(errors) ? errors.filter((each) => typeof each === 'string') : [];
  if (status === 200 || status === 204) return { isDone: true, data };
  if (status === 400 || status === 404) return { isDone: false, reasons };
  if (status === 403) throw remoteErrors.denied({ reason: reasons.join('; ') });
  if (status === 429) throw remoteErrors.throttled({ reason: reasons.join('; ') });
  // 412: a copy of Vault that is behind; 472, 473 and 503: a standby, or sealed.
  if (status >= 500 || [412, 472, 473].includes(status))
    throw remoteErrors.away({ status, reason: reasons.join('; ') });
  throw remoteErrors.refused({ status, reason: reasons.join('; ') });
}

function send({ address, mount, namespace, ca }: VaultPlace, token: Uint8Array, asked: Asked): Promise<Reply> {
  const url = new URL(`${address}/v1/${mount}/${asked.path}`);
  const request = url.protocol === 'https:' ? requestSecurely : requestPlain;
  const body = asked.body === undefined ? undefined : Buffer.from(JSON.stringify(asked.body));
  const headers = {
    'x-vault-token': Buffer.from(token).toString('latin1'),
    'x-vault-request': 'true',
    ...(namespace !== null && { 'x-vault-namespace': namespace }),
    ...(body && { 'content-type': 'application/json', 'content-length': body.length }),
  };
  return new Promise<Reply>((resolve, reject) => {
    const lose = (error: NodeJS.ErrnoException) => {
      body?.fill(0);
      reject(remoteErrors.away({ reason: error.code ?? error.message }, error));
    };
    const options = { method: asked.method, headers, signal: asked.signal, agent: false as const };
    const sent = request(url, { ...options, ...(ca !== null && { ca }) }, (reply) => {
      body?.fill(0);
      readReply(reply).then(resolve, lose);
    });
    sent.setTimeout(TRY_MS, () => sent.destroy(new Error('no answer in time')));
    sent.on('error', lose);
    sent.end(body);
  });
}

async function readReply(reply: IncomingMessage): Promise<Reply> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of reply as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_REPLY_BYTES) throw new Error('the answer is too long');
    chunks.push(chunk);
  }
  const bytes = Buffer.concat(chunks);
  try {
    return { status: reply.statusCode ?? 0, json: parseJson(bytes.toString('utf8')) };
  } finally {
    for (const chunk of [...chunks, bytes]) chunk.fill(0);
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
